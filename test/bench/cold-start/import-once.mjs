/** A process that has loaded nothing yet: imports the module named by its argument, and says how many milliseconds that took. */
const start = performance.now()
await import(process.argv[2])
process.send?.({ ms: performance.now() - start })
