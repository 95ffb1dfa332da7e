/** What a linter has found, in one form for all of them. */

export interface Finding {
  /** `CKV_AWS_158`, `W3005`, `DL3018` */
  readonly rule: string
  /** The type of the resource, `Output` of a template, or `Dockerfile`. */
  readonly subject: string
  /** File and resource, output or line. */
  readonly place: string
  readonly message: string
}
