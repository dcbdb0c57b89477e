import type { Client } from '../../client/client.ts'
import { stayConnected } from '../../client/stay-connected.ts'
import type { Delivery } from '../../client/subscription.ts'
import { defineCommand } from '../command.ts'
import { connectionOptions, connectOptions, routerUrl } from '../connection.ts'
import { DeliveryLines, deliveryJson } from '../delivery-text.ts'
import { durationOption, patternArgument, positiveOption, signalsOption, wholeOption } from '../option-values.ts'

export const sub = defineCommand({
  usage: 'PATTERN…',
  args: [1, 100],
  details:
    'Prints signals as they come, until Ctrl-C: time, address, value and what it is. Params that the router holds already\n' +
    'come first ("held"). In a pattern * stands for one part of an address, ** for any number of them; put patterns in\n' +
    'quotes. A lost connection is made again.',
  options: {
    json: { type: 'boolean', help: 'One JSON object a line.' },
    types: { type: 'string', short: 't', value: 'LIST', help: 'Only these: param,event,stream,gesture,timeline.' },
    count: { type: 'string', short: 'n', value: 'N', help: 'End after N lines.' },
    'max-rate': { type: 'string', value: 'N', help: 'At most N updates a second of each address.' },
    epsilon: { type: 'string', value: 'X', help: 'Only numbers that have changed by more than X.' },
    history: { type: 'string', value: 'N', help: 'First the last N messages, if the router keeps them.' },
    window: { type: 'string', value: 'TIME', help: 'First the messages of the last TIME, if the router keeps them.' },
    ...connectionOptions,
  },
  examples: [
    ["sub '/sim/**'", 'everything that the simulated board does'],
    ["sub --json --types event --count 1 '/buttons/*'", 'the next event, for a script'],
    ["sub --max-rate 2 '/sensors/**'", 'at most two updates a second of each'],
  ],
  async run({ values, args, terminal, signal }) {
    const patterns = args.map(patternArgument)
    const types = signalsOption(values.types, '--types')
    const count = wholeOption(values.count, '--count', 1) ?? Number.POSITIVE_INFINITY
    const request = {
      maxRate: wholeOption(values['max-rate'], '--max-rate', 1, 0xffff_ffff),
      epsilon: positiveOption(values.epsilon, '--epsilon'),
      history: wholeOption(values.history, '--history', 1, 0xffff_ffff),
      window: durationOption(values.window, '--window'),
    }
    const options = Object.values(request).some((value) => value !== undefined) ? request : undefined
    const done = new AbortController()
    const until = AbortSignal.any([signal, done.signal])
    const lines = new DeliveryLines(terminal)
    let printed = 0
    const print = (delivery: Delivery) => {
      if (printed >= count) return
      const now = new Date()
      terminal.line(values.json ? deliveryJson(delivery, now) : lines.text(delivery, now))
      if (++printed >= count) done.abort()
    }
    await stayConnected(
      routerUrl(values),
      await connectOptions(values),
      {
        async onConnected(client: Client) {
          await client.subscribe(patterns, print, { types, options })
        },
        onLost(error, retryInMs) {
          terminal.note(`${error.message}; trying again in ${(retryInMs / 1000).toFixed(1)} s`)
        },
      },
      until,
    )
    return 0
  },
})
