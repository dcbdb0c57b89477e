import type { OpenBridge, Update, UpdateFilter } from '../bridge.ts'
import type { HttpClientOptions, WebhookOptions } from './http-client-kind.ts'
import { Poll } from './poll.ts'
import { WebClient } from './web-client.ts'
import { Webhook } from './webhook.ts'

const TYPES: Record<WebhookOptions['on'], UpdateFilter['types']> = {
  change: ['param'],
  event: ['event'],
  any: ['param', 'event'],
}

/** Webhooks and polls. Source: bridges.md §11.4. */
export const openHttpClient: OpenBridge<HttpClientOptions> = async (context) => {
  const { options, clock, router } = context
  const { allowLocal, maxAnswer } = options
  const client = new WebClient({ clock, allowLocal, maxAnswerBytes: maxAnswer })
  const troubles = new Map<object, string>()
  // The bridge is degraded while one of its parts is.
  const teller = (part: object) => (reason: string) => {
    if (reason === (troubles.get(part) ?? '')) return
    if (reason === '') troubles.delete(part)
    else troubles.set(part, reason)
    const [first] = troubles.values()
    if (first === undefined) context.tell('running')
    else context.tell('degraded', first)
  }
  const webhooks = options.webhooks.map((one) => new Webhook(one, { context, client, tell: teller(one) }))
  const polls = options.polls.map((one) => new Poll(one, { context, client, tell: teller(one) }))
  const ends = webhooks.map((webhook, at) => {
    const { match, on } = options.webhooks[at]
    const onUpdate = (update: Update) => {
      if (!update.isInitial) webhook.push(update)
    }
    return router.subscribe(match, onUpdate, { types: TYPES[on] })
  })
  for (const poll of polls) poll.start()
  return {
    async stop() {
      for (const end of ends) end()
      for (const part of [...webhooks, ...polls]) part.stop()
      client.stop()
    },
  }
}
