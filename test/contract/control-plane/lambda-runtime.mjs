/** Stands in for the Lambda runtime: loads the bundle named by its argument, and hands it one event per message. */
const { handler } = await import(process.argv[2])

process.on('message', async ({ id, event }) => {
  try {
    process.send({ id, result: await handler(event) })
  } catch (error) {
    process.send({ id, error: String(error) })
  }
})
process.on('disconnect', () => process.exit(0))
process.send({ id: 0, result: 'ready' })
