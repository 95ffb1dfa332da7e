/** Every ceiling and every time limit of the system, each with its reason. Knows nothing of who obeys it. */

/**
 * One variable shortens (or stretches) every duration below, so that tests of whole processes need not wait for
 * production's clocks: POSTERN_TIME_SCALE=0.1 makes 10 s one second. Counts and sizes are not scaled.
 */
const TIME_SCALE = readScale(process.env.POSTERN_TIME_SCALE)

function readScale(text: string | undefined): number {
  const scale = text === undefined || text === '' ? 1 : Number(text)
  if (!(scale > 0 && scale <= 100))
    throw new RangeError(`POSTERN_TIME_SCALE must be above 0 and at most 100, not ${text}`)
  return scale
}

/** A duration in milliseconds, scaled; never below 1. */
const ms = (duration: number): number => Math.max(1, Math.round(duration * TIME_SCALE))
const seconds = (n: number): number => ms(n * 1000)

const KiB = 1024
const MiB = 1024 * KiB

// ── the ticket ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Enough for an agent on a slow link to connect; short enough that a leaked ticket is soon worthless. Not scaled down: two clocks meet here. */
export const TICKET_LIFE_MS = 60_000
/** Four addresses cover IPv4 and IPv6 of both planes; more is a list that somebody else fills. */
export const TICKET_ADDRESSES = 4
/** Signed by one plane and read by the other: as long as a ticket, and like it not scaled. */
export const OBSERVATION_LIFE_MS = 60_000
/** A route is believed this long after its ticket was issued. A channel lives a day and a tenth (CHANNEL_AGE_MS); the rest is for an agent that gets no other ticket. Not scaled: two clocks meet here. */
export const GRANT_LIFE_MS = 172_800_000
/** For the deployment that brings proofs: rows of nodes and tickets of the version before are believed for a day. Not scaled. */
export const UNPROVEN_ROUTES_MS = 86_400_000
/** The control plane's public keys are read again this often while routes are looked up: a key that was dropped counts no longer than this. */
export const GRANT_KEYS_FRESH_MS = seconds(60)
/** A route that names a key nobody has seen: they are read again at most this often. */
export const GRANT_KEYS_AGAIN_MS = seconds(1)
/** DynamoDB's TTL deletion is late by up to days; an hour keeps used-up tickets from being deleted while their race is on. */
export const TICKET_PURGE_AFTER_MS = 3_600_000

// ── opening a channel ───────────────────────────────────────────────────────────────────────────────────────────────

/** The id is the first data of a connection; a line longer than this is no id. */
export const WORKER_ID_BYTES = 64
/** The answer line is one small JSON object; an agent reads no more than this from a server that has proven nothing yet. */
export const ANSWER_LINE_BYTES = 2 * KiB
/** From accept to a proven key: a handshake over a 2 s path with losses fits, a hoarder of half-open sockets does not. */
export const OPENING_TIMEOUT_MS = seconds(10)
/** The balancer sends its header with the first segment. */
export const PROXY_HEADER_TIMEOUT_MS = seconds(5)
/** PROXY v2 allows 64 KiB; addresses and every TLV that balancers send fit in 4 KiB. */
export const PROXY_HEADER_BYTES = 4 * KiB
/** How often an agent looks whether its npx is there: a name is held no longer than this by an agent that nobody sees any more. */
export const NPX_CHECK_MS = 500
/** The longest line of PROXY v1, CRLF included (proxy-protocol.txt §2.1). */
export const PROXY_TEXT_HEADER_BYTES = 107
/** Proxies in a row in front of the service. A longer list of X-Forwarded-For is read no further: each entry costs time, and the visitor may have sent the rest. */
export const MOST_FORWARDED_HOPS = 32
/** Openings under way from one address (one IPv6 /64): a NAT full of agents after a deploy, but not a flood. */
export const OPENINGS_PER_ADDRESS = 200
/** Openings under way on one task: 0.5 ms of CPU each, so at most about two seconds of work in line. */
export const OPENINGS_PER_TASK = 4000
/** Told to an agent that came while the task was full. */
export const BUSY_RETRY_MS = seconds(2)
/** `hello` is the first thing an agent says on an open channel. */
export const HELLO_TIMEOUT_MS = seconds(5)

// ── the control stream ──────────────────────────────────────────────────────────────────────────────────────────────

/** Visitor rules fit; a log file does not. */
export const CONTROL_LINE_BYTES = 8 * KiB
/** Lines besides those about streams, which may be as many as there were streams: an honest end sends a handful in the life of a channel. */
export const CONTROL_LINES_PER_SECOND = 50

/** Of a fault's detail, everywhere: with each character escaped as six it fits into a control line. */
export const FAULT_DETAIL_CHARACTERS = 1024

// ── rules for visitors ──────────────────────────────────────────────────────────────────────────────────────────────

/** Of one list of a tunnel's rules. Whoever needs more networks than that has a firewall. */
export const VISITOR_RULE_ITEMS = 100
/** All rules of a tunnel as JSON: a control line, less half a KiB for the rest of hello. */
export const VISITOR_RULES_BYTES = CONTROL_LINE_BYTES - 512
/** Two tunnels with the same password share no hash (RFC 7914 §2: a salt of 128 bits). */
export const CREDENTIAL_SALT_BYTES = 16
export const CREDENTIAL_HASH_BYTES = 32
/** With r = 8: 16 MiB and some 40 ms for each guess, which is what a stolen hash costs whoever tries words, and a check costs us. */
export const CREDENTIAL_SCRYPT_N = 16_384
/** A name and a password; what is longer is none, and costs no hash. */
export const CREDENTIAL_BYTES = 512
/** Hashes under way in one process: half of libuv's threads, and 32 MiB. */
export const CREDENTIAL_CHECKS_AT_ONCE = 2
/** Credentials of one tunnel that wait for their first check: a second of work, so that one tunnel's guessers cost the others no more. */
export const CREDENTIAL_CHECKS_WAITING = 16
/** Wrong credentials of one tunnel that are remembered, so that a program that repeats itself costs one hash. */
export const CREDENTIAL_REFUSALS_KEPT = 256
/** New wrong passwords of one tunnel from one address and minute: more than a person mistypes, and no way to try a dictionary. */
export const WRONG_PASSWORDS_PER_MINUTE = 10
export const WRONG_PASSWORDS_WINDOW_MS = 60_000
/** Addresses, each for one tunnel, that a node counts so: some 1 MB. The oldest is forgotten first. */
export const WRONG_PASSWORD_ADDRESSES = 10_000
/** A working day: a page that only ever sends tokens of its own asks for the password again after that. */
export const SIGN_IN_MS = 12 * 3600 * 1000
/** A visitor whose cookie has less than this left gets a new one with its next password. */
export const SIGN_IN_RENEWED_MS = SIGN_IN_MS / 2
/** One issued cookie serves all who sign in within this time, so that a client without cookies costs no MAC for each request. */
export const SIGN_IN_ISSUED_MS = 60_000
/** Of one request, each of which costs a MAC: pages of a sibling can set a few of the name. */
export const SIGN_IN_COOKIES_READ = 4

// ── an open channel ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Well inside the 350 s after which the balancer forgets a silent flow, and often enough to notice a dead peer soon. */
export const HEARTBEAT_MS = seconds(10)
/** A peer from which nothing came for this long after a ping is gone: heartbeat + this ≤ 25 s. */
export const SILENCE_MS = seconds(15)
/** A peer that was told GOAWAY and asked to close gets this long to take what is queued. */
export const CLOSE_GRACE_MS = seconds(2)
/** Back-pressure line of the channel's socket: above it the multiplexer takes nothing from streams (a TLSSocket would take 128 MiB). */
export const SOCKET_BACKLOG_BYTES = 256 * KiB

// ── the multiplexer ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Fixed by the yamux specification: what either side may send on a new stream before it is credited. */
export const INITIAL_WINDOW_BYTES = 256 * KiB
/** 16 MiB keeps a 100 ms path busy at 1.3 Gbit/s; more would be memory held for nothing. */
export const MAX_WINDOW_BYTES = 16 * MiB
/** What all grown windows of a process may promise beyond their initial size, unless a quarter of the memory limit is less. */
export const WINDOW_BUDGET_BYTES = 32 * MiB
/** A grown window that was not credited for so long, or for four round trips, does not limit its flow, which would use it up in one: its growth is for others. */
export const WINDOW_REST_MS = seconds(1)
/** Who has less growth than others and got too little is served first for so long: others give back when they are credited, within a round trip or two. */
export const WINDOW_SHORT_MS = seconds(1)
/** What all channels hold is weighed against the memory limit this often: between two looks little more than a window per stream can come. */
export const MEMORY_CHECK_MS = ms(250)
/** Larger frames delay the streams beside them; smaller ones cost a header each. */
export const FRAME_PAYLOAD_BYTES = 32 * KiB
/** What a stream takes from its writer beyond the window before `write` answers false. */
export const STREAM_BACKLOG_BYTES = 64 * KiB
/** Requests at once through one channel, and for one name over one hop; the 257th is answered 503. Bounds what one tenant can hold: 256 windows. */
export const STREAMS_PER_CHANNEL = 256
/** Frames without payload that a peer may send per second beyond those that answer frames of ours: pings, and streams beyond its ceiling. */
export const CONTROL_FRAMES_PER_SECOND = 1000
/**
 * Answers that a peer may still owe us, in frames or in lines of the control stream. The buffers of a path hold some 14,000 small requests, each
 * answered by ACK and RST at most. A peer that saves its answers up costs a tenth of a second.
 */
export const EARNED_ANSWERS = 64 * KiB
/** Frames that answer a peer and wait for it to read, beyond one for each stream that it may open: above this nothing further is read from it. */
export const CONTROL_BACKLOG_FRAMES = 4096
/** A peer that takes nothing for so long while its answers wait does not read. Below SILENCE_MS, since nothing of it is read either. */
export const CONTROL_STALL_MS = seconds(10)
/**
 * Pieces a reader may hold unconsumed while keeping them costs more than their bytes; what comes behind is copied together. A window of
 * 256 KiB in single bytes would cost 50 MB; so many pieces cost less than the bytes of a window.
 */
export const HELD_PIECES_PER_STREAM = 1024
/** What keeping a piece costs beside its bytes: a Buffer object and its place in some queue (measured: 130–220 bytes). */
export const HELD_PIECE_BYTES = 192

// ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Request line and fields together; twice what browsers and nginx's defaults reach. */
export const HEAD_BYTES = 32 * KiB
/** Fields of one request's head; Apache's limit. */
export const HEAD_FIELDS = 100
/** Status line and fields together: what Chrome reads. Debug tools of PHP write their traces into fields. */
export const RESPONSE_HEAD_BYTES = 256 * KiB
/** Fields of one response's head: ten times what a request may have. */
export const RESPONSE_HEAD_FIELDS = 1000
/** What a node adds to the head of a response: the fields of a tunnel's rules, ours, and what clean form takes more than the form it came in. */
export const RESPONSE_HEAD_ADDED = { bytes: 16 * KiB, fields: 128 }
/**
 * Of an unfinished head, so many bytes are not given back to the stream's window, so that they count as held memory of the tunnel. Half of the first
 * window: the peer may be credited for the other half only when that is consumed, and a longer head must not wait for its own credit.
 */
export const HEAD_UNCREDITED_BYTES = 128 * KiB
/** The request target; twice nginx's default. */
export const TARGET_BYTES = 16 * KiB
/** One chunk-size line with its extensions (RFC 9112 §7.1.1); nobody sends longer ones in good faith. */
export const CHUNK_LINE_BYTES = 256
/** The same of a response: Apache's limit for one line of a head. Some servers put signatures or padding there, which clients ignore. */
export const RESPONSE_CHUNK_LINE_BYTES = 8 * KiB
/** A trailer section is a head without a start line. */
export const TRAILER_BYTES = 8 * KiB
/** A greater Max-Forwards counts as this one (RFC 9110 §7.6.2): no chain of intermediaries is as long. */
export const MOST_FORWARDS = 1_000_000
/** A visitor that has sent a first byte gets this long for the rest of the head. */
export const HEAD_TIMEOUT_MS = seconds(10)
/** A visitor's kept-alive connection without a request, or an answer of ours that it does not take; longer than browsers keep one in use, shorter than the balancer's 350 s. */
export const VISITOR_IDLE_MS = seconds(75)
/** The local server's first byte, unless the agent asks for another limit. */
export const ORIGIN_FIRST_BYTE_MS = seconds(60)
/** The longest limit for the first byte that an agent may ask for, besides none at all. Not scaled: people write it. */
export const MOST_FIRST_BYTE_MS = 3_600_000
/** After so long without a first byte, the agent's terminal says that the local server is still awaited. */
export const STILL_WAITING_MS = seconds(30)
/** Notices for the person at an agent: more are noise, and its control stream takes CONTROL_LINES_PER_SECOND. */
export const NOTICES_PER_SECOND = 1
export const NOTICES_BURST = 10
/** Names of dropped cookies that are remembered, so that each is reported once: of one tunnel, some 30 KB at most. */
export const NOTICED_COOKIES = 256
/** Of a notice's text. It fits into the preamble by which one node sends it to another. */
export const NOTICE_CHARACTERS = 400
/** A body that does not move at all: of a request, or of a response whose length is known or whose visitor does not read. */
export const BODY_IDLE_MS = seconds(600)
/** Requests for a name whose agent left so recently may wait for it: it restarts, or its network does. Later ones are answered at once. */
export const AWAY_MS = seconds(60)
/** A request for such a name waits this long for the agent, unless the agent said otherwise: a restart or a new network fits, a visitor's patience ends. */
export const HOLD_MS = seconds(10)
/** The longest hold an agent may ask for: proxies and programs before us give up after a minute. Not scaled: people write it. */
export const MOST_HOLD_MS = 60_000
/** Requests held for one name: what a page and its visitors ask at once, a quarter of a channel's streams. */
export const HELD_PER_NAME = 64
/** Requests held on one task: with what is read of each below 200 MB in the worst case (by HTTP/2: a head and a window), and 16 names at their ceiling. */
export const HELD_PER_TASK = 1000
/** While a request is held, no more is read once this much waits behind its head: enough for a form, so that its visitor's leaving shows. */
export const HELD_BODY_BYTES = 16 * KiB
/** Keeps a silent visitor's flow alive in the balancer, which forgets it after 350 s. */
export const TCP_KEEPALIVE_MS = 60_000
/** While nothing of a visitor's connection is read, an empty write looks this often whether it was reset: its stream is free a quarter of a minute later, and a stalled upload costs four system calls a minute. */
export const PAUSED_PROBE_MS = seconds(15)
/** Connections of visitors on one task; beyond it a new one is told 503. */
export const VISITORS_PER_TASK = 8000
/** Of these from one address (one IPv6 /64): a company or a content network stands behind one, but a quarter is always left for all others. */
export const VISITORS_PER_ADDRESS = 6000
/** Where a tunnel has no stream left, the request is evicted that has kept its stream waiting longest, or one of a crowd from one address; none that has for less than this. */
export const SLOW_VISITOR_MS = seconds(1)
/** An address with more than this share of a tunnel's streams is a crowd, of which a request is evicted that moves: three addresses cannot keep all others out. */
export const CROWD_SHARE = 0.25
/** On average since its head: what sends less keeps its stream waiting. As much as Apache asks of a body (mod_reqtimeout, MinRate). */
export const SLOW_UPLOAD_BYTES_PER_SECOND = 500
/** How long what a visitor still sends is read and dropped after its last answer, so that the answer is not lost to a reset (RFC 9112 §9.6). */
export const LINGER_MS = seconds(2)
/** A new connection is due to send its first byte: an address that opens connections and says nothing holds them no longer. */
export const FIRST_BYTE_MS = seconds(10)
/** Where a node has as many connections as it may have and none of them was idle, an idle one is looked for again after this long. */
export const EVICTION_SEARCH_MS = 100
/** Idle connections that one look chooses to end, one for each newcomer: a look at 8,000 takes some milliseconds, as much as 64 newcomers. */
export const EVICTED_AT_ONCE = 64
/** Where a tunnel has no stream left, what has moved nothing for so long goes first: WebSockets and event streams that live send something every 30 s or so. */
export const IDLE_EXCHANGE_MS = seconds(60)
/** Where a tunnel has no stream left, a request waits this long for one: as long as for an agent. */
export const STREAM_WAIT_MS = seconds(10)
/** Requests that wait for a stream of one tunnel: a page of 400 modules asked for at once, while 256 are under way. */
export const QUEUED_PER_TUNNEL = 512
/** Of all tunnels of a node, as many as may wait for agents: with what is read of each 16 MB by HTTP/1.1, and below 200 MB in the worst case (by HTTP/2: a head and a window). */
export const QUEUED_PER_NODE = 1024
/** Spellings of hosts whose tunnel's name is remembered, some 100 bytes each; more than a task has tunnels that are visited at once. */
export const KNOWN_HOSTS = 4096
/** Deadlines of visitors and idle streams are looked at this often: they are met up to so much late. */
export const SWEEP_MS = seconds(1)
/** A body up to this size is kept until the first byte of the response, so that a request on a stale stream can be sent again. No more goes ahead of the answer of another task. */
export const REPLAY_BYTES = 64 * KiB

/** Connections to the port of health and metrics at once: a balancer's checks from each zone, the container's own, a few readers. */
export const OPS_CONNECTIONS = 100

// ── HTTP/2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Requests at once on one visitor's connection; what RFC 9113 §6.5.2 names as the least that is useful, and browsers expect. */
export const H2_STREAMS_PER_VISITOR = 100
/**
 * Of a request that comes by HTTP/2, and of what a visitor may send before it is read: a thousand requests that are held are
 * 96 MB, the hundred of one connection fit below H2_HELD_BYTES. It keeps a 40 ms path busy at 19 Mbit/s.
 */
export const H2_STREAM_WINDOW_BYTES = 96 * KiB
/** Of one upload that its local server does not read: what the multiplexer takes beyond its window, the piece that fills it, and a window of the visitor. */
export const H2_HELD_UPLOAD_BYTES = STREAM_BACKLOG_BYTES + 16 * KiB + H2_STREAM_WINDOW_BYTES
/**
 * What the streams of one connection hold or may soon hold, for a visitor or a local server that does not read. Beyond it further requests of the connection
 * wait. These are 36 responses, each with a first window of the multiplexer, or 21 uploads that are awaited as well.
 */
export const H2_UNREAD_BYTES = 9 * MiB
/**
 * What the streams of one connection may hold at all, so that with what keeping them costs one connection takes no more than 16 MiB. It is reached where many
 * responses that had been read, or many bodies, come to stand still at once. Then streams are reset, first those whose request has not been sent.
 */
export const H2_HELD_BYTES = 11 * MiB
/** Of a connection. What has come is credited to it at once, so that no stalled stream delays the others; it bounds only what is under way. */
export const H2_CONNECTION_WINDOW_BYTES = MiB
/** Twice HEAD_BYTES: what lies between is answered 431 as in HTTP/1.1; the stream of what is larger is reset. */
export const H2_HEADER_LIST_BYTES = 2 * HEAD_BYTES
/** Of the head of a response: as nghttp2 counts them, each field for 32 bytes more (RFC 9113 §10.5.1). */
export const H2_SENT_HEAD_BYTES =
  RESPONSE_HEAD_BYTES + RESPONSE_HEAD_ADDED.bytes + 32 * (RESPONSE_HEAD_FIELDS + RESPONSE_HEAD_ADDED.fields)
/** Interim responses of one request whose heads together are longer than this are followed by a PING: its answer shows that they have left. */
export const H2_INTERIM_BYTES = 16 * KiB
/** An early answer of an error or a redirect leaves in one piece up to this. */
export const H2_EARLY_ANSWER_BYTES = 128 * KiB
/** Twice HEAD_FIELDS and the pseudo-fields, with crumbs of cookies (RFC 9113 §8.2.3): what lies between is answered 431. */
export const H2_HEADER_PAIRS = 256
/** What one session may hold that is queued for a peer that does not read, with its tables; in MB, as node:http2 takes it. Beyond it new streams are refused. */
export const H2_SESSION_MEMORY_MB = 10
/** Entries of one SETTINGS frame (RFC 9113 defines six). */
export const H2_SETTINGS_ENTRIES = 32
/** Frames that break no rule but say nothing (empty DATA, CVE-2019-9518), or are invalid without harm, in the life of a session. */
export const H2_INVALID_FRAMES = 100
/** Streams that a peer opens beyond the limit it was told, in the life of a session. */
export const H2_REJECTED_STREAMS = 100
/** PING and SETTINGS of one connection that we have to acknowledge (CVE-2019-9512, -9515): a browser sends one in many seconds. A PING that follows DATA of ours is not counted. */
export const H2_CONTROL_FRAMES_PER_SECOND = 10
export const H2_CONTROL_FRAMES_BURST = 100
/** A session whose peer sends nothing for this long is sent a PING: one that is broken holds a visitor's place for so long. */
export const H2_PING_MS = seconds(15)
/** The answer to a PING; as long as an idle visitor has, since the answer may stand behind an upload, or the PING behind a download. */
export const H2_PONG_MS = seconds(75)
/**
 * Requests that a visitor takes back before their answer has ended (rapid reset, CVE-2023-44487). A browser that leaves a page takes back all
 * that it has open, and again on the next page.
 */
export const H2_RESETS_PER_SECOND = 50
export const H2_RESETS_BURST = 500
/** Sessions of one tunnel with a local server that speaks HTTP/2: each is one connection to it, and carries what it says it takes, 100 requests mostly. */
export const H2_SESSIONS_PER_TUNNEL = 16
/** Requests at once in one session with a local server, whatever it says it takes: one connection that breaks takes no more with it. */
export const H2_STREAMS_PER_SESSION = 100
/** A session without a request; a gRPC server is content with it, and a connection that stays spares the next request a round trip. */
export const H2_SESSION_IDLE_MS = seconds(60)

// ── idle streams of a tunnel ────────────────────────────────────────────────────────────────────────────────────────

/** Node's servers close an idle connection after 5 s; a stream that old may be dead already. */
export const IDLE_STREAM_MS = seconds(4)
/** A request that must not be sent twice takes only a stream idle for less than this, or a fresh one. */
export const FRESH_ENOUGH_MS = seconds(1)
/** A fresh stream without an answer for so long, beside idle ones: the local server may serve one connection at a time, and wait on a kept one. Then none is kept. */
export const ONE_AT_A_TIME_MS = ms(300)
/** A stream to a peer that was opened so long ago is not kept: the peer cannot give it to its own visitors and those of other nodes meanwhile, who wait for one. */
export const PEER_STREAM_AGE_MS = seconds(2)
/** A local server that has answered may go on reading the request for so long. */
export const UNREAD_REQUEST_MS = seconds(60)
/** Idle streams kept for one tunnel. */
export const IDLE_STREAMS_PER_TUNNEL = 64

// ── the agent ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** First and longest wait between attempts; full jitter in between. */
export const BACKOFF_FIRST_MS = ms(100)
export const BACKOFF_LONGEST_MS = seconds(15)
/** A connection that lasted this long proves the path: only then does the back-off start over. */
export const BACKOFF_RESET_AFTER_MS = seconds(10)
/** One call to the control plane, retries not counted. However times are scaled, one that is busy for a moment is not gone. */
export const CONTROL_CALL_TIMEOUT_MS = Math.max(5000, seconds(10))
/** One attempt to reach the local server; it is on this machine or beside it. */
export const ORIGIN_CONNECT_TIMEOUT_MS = seconds(5)
/** Requests in flight when the agent is told to stop; an endless event stream must not hold a person's Ctrl+C for longer. */
export const AGENT_DRAIN_MS = seconds(10)

// ── the front of the control plane ──────────────────────────────────────────────────────────────────────────────────

/**
 * A token bucket for each route, of API Gateway and of the local front: calls a second, and calls at once. Not scaled.
 * Tickets: 10,000 agents ask within a minute of a deployment, 170 a second, and more in the first one.
 */
export const TICKET_CALLS = { perSecond: 500, atOnce: 100 } as const
/** People and their scripts, on one route; a flood of tickets takes nothing from it. */
export const ADMINISTRATION_CALLS = { perSecond: 50, atOnce: 100 } as const
/** Each agent process asks once whose its token is; health checks and the OpenAPI document are rarer. */
export const OTHER_CALLS = { perSecond: 100, atOnce: 100 } as const
/**
 * Executions of the control plane's function at once. Tickets take at most 200 of them: 100 at once, and 500 a second of 200 ms each, four times
 * what one takes. The other 50 are for administrators.
 */
export const FUNCTION_CONCURRENCY = 250

// ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** One attempt of a call. Not scaled: a busy machine is not a table that is gone. */
export const STORE_CONNECT_TIMEOUT_MS = 1000
export const STORE_REQUEST_TIMEOUT_MS = 2000
/** Tasks renew their lease this often; readers believe it for three times as long. */
export const LEASE_RENEW_MS = seconds(5)
export const LEASE_MS = seconds(15)
/**
 * A renewal that failed is tried again so soon. At LEASE_RENEW_MS a table that refuses half of all calls would fail three in a row one time in eight, once the SDK's
 * budget of retries is used up, and three in a row pass for the end of a task.
 */
export const LEASE_RETRY_MS = seconds(1)
/** Of the time between two reads of a lease no more than this counts as its task's silence: as long as LEASE_RENEW_MS, within which every task that lives has had its turn. */
export const LEASE_WATCH_MS = seconds(5)
/** A renewal that takes all its time, and one more that fails, is late. */
export const LEASE_LATE_MS = 2 * LEASE_RENEW_MS
/** A route that went offline is deleted after this long; its name stays reserved. */
export const ROUTE_PURGE_AFTER_MS = 30 * 86_400_000
/** A released name stays with its owner for a week. */
export const NAME_COOL_DOWN_MS = 7 * 86_400_000
/** A random name goes a day after its last use. */
export const EPHEMERAL_NAME_MS = 86_400_000
/** A channel lives 24 h ± 10 % and renews its name when it is replaced; counted from the ticket, a random name outlives its last use by a day. */
export const EPHEMERAL_HOLD_MS = 1.1 * 86_400_000 + EPHEMERAL_NAME_MS
/** Between counting a name and reserving it lie two calls of 2 s, each retried twice; a count older than this without its name is a leftover. */
export const COUNT_SETTLED_MS = 60_000
/** A task that is gone leaves its row for a day, so that somebody can still look at it. */
export const TASK_PURGE_AFTER_MS = 86_400_000
/** A node that starts reads all that are left: as long as a ticket from before the revocation can still prove a route, and an hour. */
export const REVOCATION_PURGE_AFTER_MS = GRANT_LIFE_MS + 3_600_000
/** Slots of one name; `--pool` and `--connections` share them. */
export const SLOTS_PER_NAME = 8
/** A claim that was overtaken looks again: each loss means that somebody won, and more than a name has slots is a crowd. */
export const CLAIM_TRIES = 32
/** Up to so long before it looks again, times the losses so far: a crowd that looked at one moment shall not do so at the next. */
export const CLAIM_AGAIN_MS = ms(20)
/** Agents that a route remembers to have replaced, so that one that slept meanwhile is told when it wakes: more than a person has terminals. */
export const OUSTED_KEPT = 16
/**
 * The list of tasks is read this often: an agent that lost its name to one on another task hears of it within five seconds, as of a
 * revocation, and a lease that is over is noticed as soon.
 */
export const TASKS_POLL_MS = seconds(2)

// ── the control API ─────────────────────────────────────────────────────────────────────────────────────────────────

/** A ticket request is under 200 bytes, an observation under 1 KiB. */
export const API_BODY_BYTES = 16 * KiB
/** The longest page is some 360 KB: 100 accounts with 50 patterns of 63 characters each. */
export const API_ANSWER_BYTES = MiB
/** A caller that only reads waits this long by itself when it is told to come back, and so often: longer is for its person to decide. Not scaled: it is compared with what the service said. */
export const READ_AGAIN_WAIT_MS = 5000
export const READ_AGAIN_TIMES = 2
/** Names an account may hold unless its user item says otherwise. */
export const DEFAULT_MAX_SUBDOMAINS = 20

/** Tunnels an account may have open at once unless its user item says otherwise. */
export const DEFAULT_MAX_TUNNELS = 20
/** No account needs more names than a table item can list: 400 KB hold some 5,000 of the longest. */
export const MOST_SUBDOMAINS = 1000
export const MOST_TUNNELS = 1000
/** Names whose routes are read side by side where an account's open tunnels are counted: 1,000 names are 50 round trips. */
export const ROUTES_READ_AT_ONCE = 20
/** Patterns of one token or account. */
export const MOST_PATTERNS = 50
/** Items of one page of a list, unless asked for otherwise, and at most: each is one read. */
export const PAGE_ITEMS = 50
export const MOST_PAGE_ITEMS = 100
/** Of a cursor, which holds a sort key of up to 1,024 bytes. */
export const CURSOR_CHARACTERS = 2048
/** Lifetimes of tokens unless asked for otherwise, and at most: whoever left takes no token along for years. */
export const TOKEN_LIFE_DAYS = 90
export const ADMIN_TOKEN_LIFE_DAYS = 30
export const MOST_TOKEN_LIFE_DAYS = 365
/** A rotated token goes on for a day, so that the new one can be brought to where the old one is. Not scaled: agents read it in days. */
export const TOKEN_OVERLAP_MS = 86_400_000
/** An expired token stays in the lists for as long as the audit rows that name it. */
export const TOKEN_PURGE_AFTER_MS = 90 * 86_400_000
export const AUDIT_PURGE_AFTER_MS = 90 * 86_400_000
/** A mistyped token in an agent that tries again every few seconds stays below; guessing 178 bits is hopeless at any rate, so this spares the table. */
export const FAILED_AUTHS_PER_MINUTE = 10
/** Addresses beyond that limit which one process remembers for the minute, each to spare a write: about 1 MB. Later ones cost a write each. */
export const FAILED_AUTH_ADDRESSES = 10_000
/** A counter of failures is over after its minute; a few more cover clocks that differ. */
export const FAILED_AUTH_PURGE_AFTER_MS = 300_000

// ── revocation ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** With the table's latency and the cut itself well under five seconds. */
export const REVOCATION_POLL_MS = seconds(2)
/** A ticket issued just before a revocation may open a channel up to a minute and an opening later; rows this old are applied again. Not scaled: tickets are not. */
export const REVOCATION_WINDOW_MS = 120_000
/** Every live token is read again this often, for a revocation that was never listed. */
export const TOKEN_RECHECK_MS = seconds(600)
/** Re-readings under way at once: 10,000 tunnels are 17 a second. */
export const TOKEN_RECHECKS_AT_ONCE = 10
/** Tokens whose turn has come are looked for this often: 10,000 tunnels are 85 each time. */
export const TOKEN_RECHECK_TICK_MS = seconds(5)
/** A row of the list of tunnels is written again this often, in case a race or a hand has taken it: 10,000 tunnels are 3 writes a second. */
export const TUNNEL_ROW_AGAIN_MS = seconds(3600)
/** A row of the list of tunnels outlives its channel, which lives a day, by at most this, if a crash leaves it. */
export const TUNNEL_PURGE_AFTER_MS = 3 * 86_400_000

// ── the hop between tasks ────────────────────────────────────────────────────────────────────────────────────────────

/** A name, an address and two ids are under 300 bytes; the rest is for what a later version adds. */
export const HOP_PREAMBLE_BYTES = KiB
/** What a node adds to a request's head: three fields about the visitor, two of ours, two of an upgrade, one Host. A target of raw UTF-8 triples. */
export const HOP_HEAD_ADDED = { bytes: 4 * KiB + Math.ceil((2 / 3) * TARGET_BYTES), fields: 8 }
/** Streams of one hop channel: every visitor of a task, and as many that wait for their next request. */
export const HOP_STREAMS = 2 * VISITORS_PER_TASK
/** Channels of other tasks: three times as many as there are tasks behind one balancer, so that old ones may linger. */
export const HOP_CHANNELS = 500
/** Notes from one task to another per second besides those about streams: a task that loses its agents tells of each tunnel once. */
export const HOP_NOTES_PER_SECOND = 20_000
/** Whether all that came by hops has ended is looked at this often at the end of a drain. */
export const HOP_END_LOOK_MS = ms(50)
/** From the first packet to the proven key. Two tasks are a millisecond apart; a partition must show within two seconds. Not scaled. */
export const HOP_OPENING_MS = 1000
/** While an answer is awaited the other task is asked for a sign of life this often, and given so long for it: together a partition shows in 1.5 s. Not scaled: a busy machine is not one that is gone. */
export const HOP_PING_MS = 500
export const HOP_SILENCE_MS = 1000
/** A task that could not be reached is left alone this long; every request until then is answered at once. Not scaled, like the two before. */
export const PEER_SUSPECT_MS = 1000
/** A task's word that it does not have a tunnel is believed this long, should the table go on saying that it does. */
export const HOP_REFUSED_MS = seconds(1)
/** Where a name is, as the table said: an owner that is wrong says so itself. */
export const ROUTE_FRESH_MS = seconds(60)
/** While the table cannot be read, what it said before is believed this long, of routes and of leases. */
export const TABLE_OUTAGE_MS = seconds(600)
/** That nothing serves a name, or that nobody has it: a new tunnel is reached on every task within this. */
export const ROUTE_ABSENT_MS = seconds(3)
/** The list of tasks is read before its turn, for a route to a task that nobody has heard of, at most this often. */
export const STRANGER_LOOK_MS = seconds(1)
/** Names that somebody has whose place is remembered, and as many that nobody has: some 500 bytes each. */
export const ROUTES_REMEMBERED = 20_000
/** Reads of the table for names that are not remembered as somebody's, per second and in one burst: a scan of random names costs 100 reads a second, not 10,000. */
export const LOOKUPS_PER_SECOND = 100
export const LOOKUPS_AT_ONCE = 500
/**
 * What an address (one IPv6 /64) has asked for counts against it, by 1/e less after each such time: a scan from one address gets half of the common burst and
 * then half of the common rate (LOOKUPS_AT_ONCE in this time); one behind which all visitors stand still warms a new node within seconds. Not scaled, like the rate.
 */
export const LOOKUPS_FADE_MS = 10_000
/** Addresses of which that is remembered, some 200 bytes each: no more can have a read within 95 s, and then nothing is left to count. */
export const LOOKUP_ADDRESSES = 10_000
/** A visitor waits this long for the table. Not scaled, like one of its calls. */
export const LOOKUP_MS = 2000
/**
 * How often a request's tunnel is looked for before it is given up: read, reached, read again, reached again; and how often it is sent
 * elsewhere, because its channel has gone.
 */
export const LOOKUP_ROUNDS = 4
/** After a request began to wait for an agent, the table is read again after each of these, and then after the last one again and again. */
export const HOLD_LOOKS_MS = [ms(100), ms(200), ms(400), seconds(1)] as const
/** A process whose own clock jumped by this much was stopped, and cannot know what became of its tunnels. However times are scaled, one that is busy for a moment was not. */
export const FENCE_GAP_MS = Math.max(1000, seconds(5))
/** After such a jump every agent is asked for a sign of life; whoever gives none within this has gone. */
export const FENCE_PONG_MS = seconds(3)
/** And the table is asked whose name each of them is, so many at once: 1,000 tunnels are 50 round trips. */
export const CLAIMS_COMPARED_AT_ONCE = 20
/** The clock is looked at this often, so that a jump is one. */
export const FENCE_TICK_MS = seconds(1)

// ── the access log ──────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Lines are written together this long after the first of them: soon enough for whoever reads along, and rarely enough to cost little (every 50 ms
 * costs a task under load 2 % more). Not scaled: nobody waits for it.
 */
export const LINE_DELAY_MS = 250
/** As many bytes go out before that. A line costs 0.24 µs in writes to a file of 64 KiB each, 0.15 in writes of 256. */
export const LINE_BATCH_BYTES = 256 * KiB
/** Lines that wait for a reader who is slow: a fifth of a second of the most that a task does. Beyond it they are dropped. */
export const LINE_BUFFER_BYTES = 2 * MiB
/** Of one line, so that it stays below the 16 KiB at which log drivers cut it in two, each character escaped as six. */
export const LOGGED_PATH_CHARACTERS = 2 * KiB
export const LOGGED_HOST_CHARACTERS = 255
export const LOGGED_METHOD_CHARACTERS = 32

// ── metrics ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** CloudWatch keeps one point a minute; scaling and alarms look at no less. */
export const METRICS_MS = seconds(60)
/**
 * The event loop's delay is looked at this often; what is measured includes it. At prom-client's own 10 ms that was half of what a task
 * without visitors cost (docs/benchmarks.md).
 */
export const EVENT_LOOP_LOOK_MS = 100
/** The embedded metric format takes no more values of one metric at a time. */
export const METRIC_VALUES = 100

// ── stopping ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Fargate kills a task 120 s after SIGTERM; a process that is still there at 110 s ends itself. */
export const DRAIN_MS = seconds(110)
/** Of that, what comes after the last request: Close frames and their answers, GOAWAYs, routes released, the lease given up. */
export const DRAIN_END_MS = seconds(8)
/** Agents are asked to move this far apart on average: each is a ticket, and a deploy stops several tasks at once. */
export const DRAIN_ASK_EVERY_MS = ms(50)
/** But all within this time, which leaves the last ones 40 s for what they have in flight. */
export const DRAIN_SPREAD_MS = seconds(60)
/** A WebSocket that is told 1012 gets this long to come to the end of a frame, and its visitor to answer. */
export const UPGRADE_END_MS = seconds(2)

// ── channels that are replaced ──────────────────────────────────────────────────────────────────────────────────────

/** Node cannot change the keys of a TLS 1.3 connection (RFC 8446 §5.5): a channel, of an agent or between nodes, is replaced after a day, ± CHANNEL_AGE_SPREAD of it. */
export const CHANNEL_AGE_MS = seconds(86_400)
export const CHANNEL_AGE_SPREAD = 0.1
/** Or after so many bytes in one direction: some 2^22 records of 16 KiB, of the 2^24.5 that AES-GCM may protect with one key (RFC 8446 §5.5). */
export const CHANNEL_BYTES = 64 * 1024 * MiB
/** Age and bytes are looked at this often: at 10 Gbit/s a fifth of the bytes more. */
export const CHANNEL_WEAR_CHECK_MS = seconds(10)
/** What is in flight on a channel that was replaced by the end that opened it may take this long; what is left then is ended as at the end of a drain. */
export const REPLACED_CHANNEL_MS = seconds(600)
/** Tasks that an agent looks at for one that has none of its channels, with one ticket: of two tasks it misses the other one time in 256. */
export const TASK_DRAWS = 8
/**
 * Tries with one ticket where the connection breaks before anybody has answered, as a balancer leads to a task that has just died: of three tasks it
 * leads there three times in a row one time in 27. Then a service that breaks every connection is given the time of a back-off.
 */
export const UNANSWERED_DRAWS = 3
/** Between two such looks, so that a balancer has a chance to change its mind. */
export const TASK_DRAW_PAUSE_MS = ms(50)

// ── balance between tasks ───────────────────────────────────────────────────────────────────────────────────────────

/** Whether a task has more than its share is asked this often. */
export const REBALANCE_MS = seconds(10)
/** It begins to ask agents to move when it has a fifth more than the mean, and at least this many more ... */
export const REBALANCE_ABOVE = 1.2
export const REBALANCE_LEAST = 10
/** ... and goes on until it is this close to the mean: between the two nothing moves, so that tasks do not play catch. */
export const REBALANCE_UNTIL = 1.05
/** Of its channels in each round: a new task gets its share within a few minutes, and control plane and agents hardly notice. */
export const REBALANCE_SHARE = 0.02

// ── the canary ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** A knock a minute, each over before the next one: two back-offs of an agent, and longer than any visitor waits for a page. */
export const CANARY_KNOCK_MS = seconds(25)
/** Its right answer is 32 bytes: of anything else no more is read than this. */
export const CANARY_BODY_BYTES = 1 * KiB
