/** The version of this data plane, as its task row tells it. A bundle has no package beside it, so a test compares the two. */
export const VERSION = '0.1.0'
