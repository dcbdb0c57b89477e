import { checkedText, flag, list, object, oneOf, optional, required } from '../../config/fields.ts'
import { PAYLOAD_MODES } from './payload.ts'
import { filterProblem, topicProblem } from './topic-filter.ts'

export const topicFilter = (description: string, fallback = '#') =>
  checkedText({
    description,
    fallback,
    expected: 'a topic filter such as home/+/state or home/#',
    check: filterProblem,
  })

export const topicName = (description: string, fallback = '') =>
  checkedText({ description, fallback, expected: 'a topic such as home/state', check: topicProblem })

const payloadMode = {
  values: PAYLOAD_MODES,
}

/** Options of both sides of MQTT: how topics and payloads become signals. */
export const mqttFields = {
  signalMode: oneOf({
    description: 'What messages become: params; or params when they are retained, else events.',
    fallback: 'param',
    values: ['param', 'retain'],
  }),
  payload: oneOf({
    description: 'How payloads are read: auto = JSON, else a number, else text; raw = text as it is.',
    fallback: 'auto',
    ...payloadMode,
  }),
  topicRules: list({
    description: 'What is different for some topics; the first that matches counts.',
    of: object('One rule.', {
      topic: required(topicFilter('The topics.')),
      signal: optional(
        oneOf({ description: 'What they become.', fallback: 'event', values: ['param', 'event', 'stream'] }),
      ),
      payload: optional(oneOf({ description: 'How their payloads are read.', fallback: 'auto', ...payloadMode })),
    }),
  }),
  quoteStrings: flag({ description: 'Texts are sent as JSON, in quotes.', fallback: false }),
  numericWords: flag({ description: 'nan and inf are numbers, not texts.', fallback: false }),
}
