/** Options that several commands have, and how their values are read. */
import { type Command, InvalidArgumentError, Option } from 'commander'

/** A command with what all of them take. Whether `--token` was used is judged elsewhere. */
export const addCommand = (parent: Command, usage: string, summary: string): Command =>
  parent
    .command(usage)
    .description(summary)
    .option('--server <url>', 'base URL of the tunnel service')
    .option('--token-file <path>', 'file that holds the token, or - for standard input')
    .option('--json', "print the API's own objects as JSON", false)
    .addOption(new Option('--token [value]').hideHelp())

/** An option that may be given several times. @param choices what it may be; without them, anything */
export const severalTimes = (flags: string, description: string, choices?: readonly string[]): Option =>
  new Option(flags, description).argParser((value: string, before: string[] = []) => {
    if (choices && !choices.includes(value)) throw new InvalidArgumentError(`It may be ${choices.join(' or ')}.`)
    return [...before, value]
  })

/** The service says which numbers it takes; here it is only one at all. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('A whole number is expected.')
  return Number(text)
}

export const patternOption = (): Option =>
  severalTimes('--pattern <pattern>', "names it may ask for, for instance 'team-*'; several times for several")
