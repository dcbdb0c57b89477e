import { Pattern } from '../../../firmware-protocol/wire/pattern.ts'
import { escapeLevel, foreignOf, unescapeLevel } from '../foreign-address.ts'
import { matchesFilter } from '../mqtt/topic-filter.ts'

const SET = '/set'

export interface ExposureOptions {
  readonly namespace: string
  /** Topics below the namespace that go out; none: all. */
  readonly publish: readonly string[]
  readonly expose: readonly string[]
  readonly exposePrefix: string
}

/** Topics of addresses: those of the namespace, and those of exposed ones, which have a prefix and can be set. */
export class TopicExposure {
  private readonly options: ExposureOptions
  private readonly compiled: readonly Pattern[]

  constructor(options: ExposureOptions) {
    this.options = options
    this.compiled = options.expose.flatMap((text) => {
      const pattern = Pattern.parse(text)
      return pattern instanceof Pattern ? [pattern] : []
    })
  }

  get patterns(): readonly string[] {
    return this.options.expose
  }

  /** Which of the patterns exposes an address; -1: none, or it is one of the namespace. */
  patternIndex(address: string): number {
    if (foreignOf(this.options.namespace, address) !== undefined) return -1
    return this.compiled.findIndex((pattern) => pattern.matches(address))
  }

  /** Undefined: it does not go out. */
  topicOf(address: string): string | undefined {
    const { namespace, publish, exposePrefix } = this.options
    const own = foreignOf(namespace, address)
    if (own === undefined) {
      return `${exposePrefix}/${address.slice(1).split('/').map(unescapeLevel).join('/')}`
    }
    return publish.length === 0 || publish.some((filter) => matchesFilter(filter, own)) ? own : undefined
  }

  /** Where an address is set from; undefined: its own topic does that. */
  commandTopicOf(address: string): string {
    const topic = this.topicOf(address) ?? ''
    return foreignOf(this.options.namespace, address) === undefined ? `${topic}${SET}` : topic
  }

  /** To subscribe to, where addresses are exposed. */
  get commandFilter(): string | undefined {
    const { expose, exposePrefix } = this.options
    return expose.length === 0 ? undefined : `${exposePrefix}/#`
  }

  /** The exposed address that a message sets; undefined: it is not such a message. */
  commandAddress(topic: string): string | undefined {
    const { expose, exposePrefix } = this.options
    if (expose.length === 0 || !topic.startsWith(`${exposePrefix}/`) || !topic.endsWith(SET)) return undefined
    const levels = topic.slice(exposePrefix.length + 1, -SET.length).split('/')
    return `/${levels.map(escapeLevel).join('/')}`
  }

  /** Whether a topic is one of exposed addresses, in either direction. */
  isExposed(topic: string): boolean {
    return this.options.expose.length > 0 && topic.startsWith(`${this.options.exposePrefix}/`)
  }
}
