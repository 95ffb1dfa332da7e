/** The door of a caller of the control API: which server it may speak to, with which token, and how a call is made. */
export { type AnswerOf, ApiClient, type ApiClientOptions, type Given } from './api-client.ts'
export { type LocalSystemFile, localSystemText, parseLocalSystem } from './local-system-file.ts'
export { type Profile, parseProfile, profileText } from './profile.ts'
export { parseServer } from './server-origin.ts'
