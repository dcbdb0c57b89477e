import type { FoundRouter } from '../../discovery/found-router.ts'
import { CommandError, defineCommand } from '../command.ts'
import { jsonLine } from '../json-line.ts'
import { durationOption } from '../option-values.ts'
import { printable } from '../terminal.ts'

export const discover = defineCommand({
  usage: '',
  args: [0, 0],
  details:
    'Looks for CLASP routers on the local network, by mDNS and by broadcast, and prints each as it answers. Exit code 1\n' +
    'when there is none.',
  options: {
    timeout: { type: 'string', value: 'TIME', help: 'How long to look. Default: 3s' },
    json: { type: 'boolean', help: 'One object a line: name, url, tcp, address, features, via, id.' },
  },
  examples: [['discover', 'who is there?']],
  async run({ values, terminal, signal }) {
    const timeoutMs = durationOption(values.timeout, '--timeout') ?? 3000
    const onFound = ({ name, url, tcp, address, features, via, id }: FoundRouter) => {
      if (values.json) {
        terminal.line(jsonLine({ name, url, tcp, address, features: [...features], via, id }))
        return
      }
      const details = terminal.paint('dim', `${printable([...features].join(' '))}  by ${via}`)
      terminal.line(`${terminal.paint('green', printable(url))}  ${printable(name)}  ${details}`)
    }
    let found: FoundRouter[] = []
    try {
      const { discover: discoverRouters } = await import('../../discovery/discover.ts')
      found = await discoverRouters({ timeoutMs, signal, onFound })
    } catch (error) {
      throw new CommandError(`the network cannot be searched (${(error as Error).message}): is it up?`)
    }
    if (found.length > 0) return 0
    terminal.note(
      'no router has answered: are you in the same network, and does its firewall let UDP 5353 and 7331 pass?',
    )
    return 1
  },
})
