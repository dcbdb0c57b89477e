/** Topic names and filters of MQTT. Source: MQTT 5.0 §4.7, §4.8.2; 3.1.1 says the same, without shared subscriptions. */

const MAX_BYTES = 65_535
const SHARE = '$share/'

/** What is wrong with the topic of a PUBLISH; undefined: nothing. */
export function topicProblem(topic: string): string | undefined {
  if (topic === '') return 'the topic is empty'
  if (topic.includes('\u0000')) return 'the topic has a NUL character'
  if (topic.includes('+') || topic.includes('#')) return 'the topic has wildcards'
  return Buffer.byteLength(topic) > MAX_BYTES ? 'the topic is too long' : undefined
}

/** What is wrong with the filter of a subscription, shared or not; undefined: nothing. */
export function filterProblem(text: string): string | undefined {
  const { group, filter } = parseShare(text)
  if (text.startsWith(SHARE) && (group === undefined || /[+#]/.test(group))) {
    return 'a shared subscription is $share/<group>/<filter>'
  }
  if (filter === '') return 'the filter is empty'
  if (filter.includes('\u0000')) return 'the filter has a NUL character'
  if (Buffer.byteLength(text) > MAX_BYTES) return 'the filter is too long'
  const levels = filter.split('/')
  for (const [at, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || at < levels.length - 1)) return '# is the last level, alone'
    if (level.includes('+') && level !== '+') return '+ is a whole level'
  }
  return undefined
}

/** `$share/<group>/<filter>`; without that prefix there is no group. */
export function parseShare(text: string): { group?: string; filter: string } {
  if (!text.startsWith(SHARE)) return { filter: text }
  const end = text.indexOf('/', SHARE.length)
  const group = end < 0 ? '' : text.slice(SHARE.length, end)
  return group === '' ? { filter: text } : { group, filter: text.slice(end + 1) }
}

/** `sport/#` also matches `sport`; wildcards at the first level do not match topics that start with `$`. */
export function matchesFilter(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && (filter.startsWith('#') || filter.startsWith('+'))) return false
  const wanted = filter.split('/')
  const levels = topic.split('/')
  for (const [at, level] of wanted.entries()) {
    if (level === '#') return true
    if (at >= levels.length || (level !== '+' && level !== levels[at])) return false
    if (at === levels.length - 1 && at === wanted.length - 2 && wanted[at + 1] === '#') return true
  }
  return wanted.length === levels.length
}
