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
/** Openings under way from one address: a NAT full of agents after a deploy, but not a flood. */
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
/** One stream-fault per failing request is the busiest honest use. Counted over a sliding second. */
export const CONTROL_LINES_PER_SECOND = 50

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
/** Addresses of one tunnel that are counted so: some 100 KB. The oldest is forgotten first. */
export const WRONG_PASSWORD_ADDRESSES = 1000

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
/** What all channels hold is weighed against the memory limit this often: between two looks little more than a window per stream can come. */
export const MEMORY_CHECK_MS = ms(250)
/** Larger frames delay the streams beside them; smaller ones cost a header each. */
export const FRAME_PAYLOAD_BYTES = 32 * KiB
/** What a stream takes from its writer beyond the window before `write` answers false. */
export const STREAM_BACKLOG_BYTES = 64 * KiB
/** Requests at once through one channel; the 257th is answered 503. Bounds what one tenant can hold: 256 windows. */
export const STREAMS_PER_CHANNEL = 256
/** Control frames (ping, window update for unknown streams, resets) a peer may send per second beyond those its data justifies. */
export const CONTROL_FRAMES_PER_SECOND = 1000
/** Control frames waiting for a peer that does not read: beyond this it is not a peer. */
export const CONTROL_BACKLOG_FRAMES = 4096
/**
 * Pieces a reader may hold unconsumed while keeping them costs more than their bytes. A window of 256 KiB in single bytes would cost
 * 50 MB; a stalled reader of messages above 32 bytes never comes here.
 */
export const HELD_PIECES_PER_STREAM = 8192

// ── HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Request line and fields together; twice what browsers and nginx's defaults reach. */
export const HEAD_BYTES = 32 * KiB
/** Fields of one head; Apache's limit. */
export const HEAD_FIELDS = 100
/** The request target; twice nginx's default. */
export const TARGET_BYTES = 16 * KiB
/** One chunk-size line with its extensions (RFC 9112 §7.1.1); nobody sends longer ones in good faith. */
export const CHUNK_LINE_BYTES = 256
/** A trailer section is a head without a start line. */
export const TRAILER_BYTES = 8 * KiB
/** Interim (1xx) responses to one request; early hints need one or two. */
export const INTERIM_RESPONSES = 16
/** A visitor that has sent a first byte gets this long for the rest of the head. */
export const HEAD_TIMEOUT_MS = seconds(10)
/** A visitor's kept-alive connection without a request; longer than browsers keep one in use, shorter than the balancer's 350 s. */
export const VISITOR_IDLE_MS = seconds(75)
/** The local server's first byte. */
export const ORIGIN_FIRST_BYTE_MS = seconds(60)
/** A body that does not move at all. */
export const BODY_IDLE_MS = seconds(600)
/** A name whose agent left so recently is answered "away", not "unknown": it restarts, or its network does. */
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
/** Connections of visitors on one task; beyond it a new one is told 503. */
export const VISITORS_PER_TASK = 8000
/** Of these from one address (one IPv6 /64): a company or a content network stands behind one, but a quarter is always left for all others. */
export const VISITORS_PER_ADDRESS = 6000
/** Where a tunnel has no stream left, whoever has kept one waiting longest gives way, or a crowd from one address to others; nobody who has for less than this. */
export const SLOW_VISITOR_MS = seconds(1)
/** On average since its head: what sends less keeps its stream waiting. As much as Apache asks of a body (mod_reqtimeout, MinRate). */
export const SLOW_UPLOAD_BYTES_PER_SECOND = 500
/** How long what a visitor still sends is read and dropped after its last answer, so that the answer is not lost to a reset (RFC 9112 §9.6). */
export const LINGER_MS = seconds(2)
/** Spellings of hosts whose tunnel's name is remembered, some 100 bytes each; more than a task has tunnels that are visited at once. */
export const KNOWN_HOSTS = 4096
/** Deadlines of visitors and idle streams are looked at this often: they are met up to so much late. */
export const SWEEP_MS = seconds(1)
/** Bytes that may wait for a visitor that does not read before its stream is no longer credited. */
export const VISITOR_BACKLOG_BYTES = 256 * KiB
/** A body up to this size is kept until the first byte of the response, so that a request on a stale stream can be sent again. */
export const REPLAY_BYTES = 64 * KiB

/** Connections to the port of health and metrics at once: a balancer's checks from each zone, the container's own, a few readers. */
export const OPS_CONNECTIONS = 100

// ── HTTP/2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Requests at once on one visitor's connection; what RFC 9113 §6.5.2 names as the least that is useful, and browsers expect. */
export const H2_STREAMS_PER_VISITOR = 100
/**
 * Of a request that comes by HTTP/2, and of what a visitor may send before it is read: a thousand requests that are held are
 * 128 MB. Half of a mux stream's first window: it keeps a 40 ms path busy at 25 Mbit/s.
 */
export const H2_STREAM_WINDOW_BYTES = 128 * KiB
/** Of a connection. What has come is credited to it at once, so that no stalled stream delays the others; it bounds only what is under way. */
export const H2_CONNECTION_WINDOW_BYTES = MiB
/** Twice HEAD_BYTES: what lies between is answered 431 as in HTTP/1.1; the stream of what is larger is reset. */
export const H2_HEADER_LIST_BYTES = 2 * HEAD_BYTES
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
/** PING and SETTINGS of one connection that we have to acknowledge (CVE-2019-9512, -9515): a browser sends one in many seconds. */
export const H2_CONTROL_FRAMES_PER_SECOND = 10
export const H2_CONTROL_FRAMES_BURST = 100
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
/** Idle streams kept for one tunnel. */
export const IDLE_STREAMS_PER_TUNNEL = 64

// ── the agent ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** First and longest wait between attempts; full jitter in between. */
export const BACKOFF_FIRST_MS = ms(100)
export const BACKOFF_LONGEST_MS = seconds(15)
/** A connection that lasted this long proves the path: only then does the back-off start over. */
export const BACKOFF_RESET_AFTER_MS = seconds(10)
/** One call to the control plane, retries not counted. */
export const CONTROL_CALL_TIMEOUT_MS = seconds(10)
/** One attempt to reach the local server; it is on this machine or beside it. */
export const ORIGIN_CONNECT_TIMEOUT_MS = seconds(5)
/** Requests in flight when the agent is told to stop; an endless event stream must not hold a person's Ctrl+C for longer. */
export const AGENT_DRAIN_MS = seconds(10)

// ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────────

export const STORE_CONNECT_TIMEOUT_MS = seconds(1)
export const STORE_REQUEST_TIMEOUT_MS = seconds(2)
/** Tasks renew their lease this often; readers believe it for three times as long. */
export const LEASE_RENEW_MS = seconds(5)
export const LEASE_MS = seconds(15)
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
/** Every task reads a revocation within seconds; a day covers one that could not reach the table. */
export const REVOCATION_PURGE_AFTER_MS = 86_400_000
/** Slots of one name; `--pool` and `--connections` share them. */
export const SLOTS_PER_NAME = 8

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

// ── the access log ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Lines are written together this long after the first of them: soon enough for whoever reads along, and rarely enough to cost little. Not scaled: nobody waits for it. */
export const LINE_DELAY_MS = 50
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
/** The embedded metric format takes no more values of one metric at a time. */
export const METRIC_VALUES = 100

// ── stopping ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Fargate kills a task 120 s after SIGTERM; a process that is still there at 110 s ends itself. */
export const DRAIN_MS = seconds(110)
