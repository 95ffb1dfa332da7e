/** The build of recheck that is JavaScript alone; the package's main entry starts a Java or native process. */
declare module 'recheck/lib/browser.js' {
  import type { checkSync } from 'recheck'

  const recheck: { checkSync: typeof checkSync }
  export default recheck
}
