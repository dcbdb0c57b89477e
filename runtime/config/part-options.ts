import type { Config } from './schema.ts'

/** What the configuration says of the hub above, in the shape that the leaf takes (`federation/leaf/leaf-options.ts`). */
export function leafOptions(hub: Config['hub'], url: string) {
  const { token, tokenFile, ca, id, namespaces, allowRoot, subscribe, writeRemote, policies, retry, outbox } = hub
  return {
    url,
    token,
    tokenFile,
    ca,
    routerId: id,
    namespaces,
    allowRoot,
    subscribe,
    writeRemote,
    policy: policies.map(({ pattern, conflict, ttl, offline, maxAge }) => ({
      pattern,
      conflict,
      ttlSeconds: Math.ceil(ttl / 1000),
      offline,
      maxAgeMs: maxAge,
    })),
    rate: hub.rate === 0 ? ('auto' as const) : hub.rate,
    window: hub.window,
    heartbeatMs: hub.heartbeat,
    probeTimeoutMs: hub.probeTimeout,
    answerTimeoutMs: hub.answerTimeout,
    connectTimeoutMs: hub.answerTimeout,
    backOff: { baseMs: retry.shortest, capMs: retry.longest },
    verifyIntervalMs: hub.verifyInterval,
    outbox: { maxParams: outbox.params, maxEvents: outbox.events, maxBytes: outbox.bytes },
  }
}

/** What the configuration says of state and history on disk, in the shape that the journal takes. */
export function journalOptions(journal: Config['journal'], folder: string) {
  const { durability, record, checkpoint, writeBudget, retention } = journal
  return {
    folder,
    durability,
    record,
    checkpointMs: checkpoint,
    budgetBytesPerDay: writeBudget,
    retention: { maxAgeMs: retention.age, maxEntries: retention.entries, maxBytes: retention.bytes },
    maxQueueBytes: 8_388_608,
  }
}
