/** What a journal and a hub cost, beside the same router without them: variants take turns on the same machine. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectClient } from '../../runtime/client/connect.ts'
import type { LoadOptions, LoadResult } from './load.ts'
import type { PartRow } from './part-row.ts'
import { loadInChild, median, ROUNDS, type Router, startRouter, stopRouter } from './subject.ts'

/** So many that the first second, in which every address is still calm, does not decide. */
const STEADY = 5_000_000
const RECOVERED = 100_000
const STAR_CHANGES = 2000
const WEAR_SECONDS = 60
const CHECKPOINT_SECONDS = 15
const CHECKPOINTS_A_DAY = 288

type Variant = 'neither' | 'journal' | 'journal and hub'
const VARIANTS: Variant[] = ['neither', 'journal', 'journal and hub']

/** Runs all of it; `show` is told each row as it is known. */
export async function benchDurable(base: LoadOptions, show: (row: PartRow) => void): Promise<void> {
  for (const addresses of [1, 1000]) {
    const results = await compare({ ...base, addresses, messages: STEADY })
    show({
      name: `1 → 1, SET, TCP, ${addresses === 1 ? 'one address' : `${addresses} addresses`}: without, with journal, with journal and hub`,
      target: 'journal ≤ 15 % of the throughput, hub ≤ 15 % more',
      measured: VARIANTS.map((variant) => throughput(results[variant])).join('; '),
    })
  }
  const latencies = await compare({ ...base, rate: 1000, messages: 5000 })
  show({
    name: '1000 SET/s, latency: without, with journal, with journal and hub',
    target: 'p99 at most doubles',
    measured: VARIANTS.map((variant) => latency(latencies[variant])).join('; '),
  })
  show(await recovery(base))
  show(await outbox(base))
  show(await star())
  show(await wear())
}

async function compare(load: LoadOptions): Promise<Record<Variant, LoadResult[]>> {
  const results: Record<Variant, LoadResult[]> = { neither: [], journal: [], 'journal and hub': [] }
  for (let round = 0; round < ROUNDS; round++) {
    for (const variant of VARIANTS) results[variant].push(await measure(variant, load))
  }
  return results
}

async function measure(variant: Variant, load: LoadOptions): Promise<LoadResult> {
  return inFolder(async (folder) => {
    const hub = variant === 'journal and hub' ? await startRouter('hub: { accept: true }\n') : undefined
    const router = await startRouter(variant === 'neither' ? '' : leafYaml(folder, hub?.port))
    try {
      if (hub !== undefined) await linked(router)
      return await loadInChild({ ...load, port: router.port, pid: router.process.pid ?? 0 })
    } finally {
      await stopRouter(router)
      if (hub !== undefined) await stopRouter(hub)
    }
  })
}

function leafYaml(folder: string, hubPort?: number): string {
  const hub =
    hubPort === undefined ? '' : `hub: { url: "tcp://127.0.0.1:${hubPort}", id: bench, namespaces: [/bench/**] }\n`
  return `journal: { folder: ${folder} }\n${hub}`
}

/** The leaf's link is up. */
async function linked(router: Router, id = 'bench', root = '/bench'): Promise<void> {
  const client = await connectClient(`tcp://127.0.0.1:${router.port}`)
  try {
    const deadline = performance.now() + 15_000
    for (;;) {
      const [state] = await client.snapshot(`${root}/_leaf/${id}/state`)
      if (state?.value.type === 'string' && state.value.value === 'active') return
      if (performance.now() > deadline) throw new Error('the leaf did not reach its hub')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  } finally {
    await client.close()
  }
}

/** 100 000 params of a database, from the start of the process to the first WELCOME; after a clean stop and after a kill. */
async function recovery(base: LoadOptions): Promise<PartRow> {
  return inFolder(async (folder) => {
    const yaml = `journal: { folder: ${folder}, durability: [{ pattern: /**, mode: batched }] }\n`
    const filler = await startRouter(yaml)
    await loadInChild({
      ...base,
      port: filler.port,
      subscribers: 0,
      deliveriesPerMessage: 0,
      messages: RECOVERED,
      addresses: RECOVERED,
      window: 10_000,
    })
    await new Promise((resolve) => setTimeout(resolve, 3000))
    await stopRouter(filler)
    const times: Record<string, number[]> = { clean: [], killed: [], empty: [] }
    for (let round = 0; round < ROUNDS; round++) {
      const clean = await startRouter(yaml)
      times.clean.push(clean.startMs)
      await new Promise((resolve) => {
        clean.process.once('exit', resolve)
        clean.process.kill('SIGKILL')
      })
      const killed = await startRouter(yaml)
      times.killed.push(killed.startMs)
      await stopRouter(killed)
      const empty = await startRouter()
      times.empty.push(empty.startMs)
      await stopRouter(empty)
    }
    const beyond = (name: string) => (median(times[name]) - median(times.empty)).toFixed(0)
    return {
      name: '100 000 params come back: after a clean stop, after a kill (beyond a start without a journal)',
      target: '≤ 1 s',
      measured: `${beyond('clean')} ms, ${beyond('killed')} ms`,
    }
  })
}

/** 50 000 changes a second of 5000 params go to the hub for four seconds. */
async function outbox(base: LoadOptions): Promise<PartRow> {
  return inFolder(async (folder) => {
    const hub = await startRouter('hub: { accept: true }\n')
    const leaf = await startRouter(leafYaml(folder, hub.port))
    try {
      await linked(leaf)
      const rate = 50_000
      const before = [cpuSeconds(leaf), cpuSeconds(hub)]
      const load = { ...base, port: leaf.port, pid: leaf.process.pid ?? 0, subscribers: 1, addresses: 5000 }
      const result = await loadInChild({ ...load, rate, messages: rate * 4 })
      const [used, hubUsed] = [cpuSeconds(leaf) - before[0], cpuSeconds(hub) - before[1]]
      const settledMs = await equal(leaf, hub, 5000)
      return {
        name: '50 000 changes/s of 5000 params through the outbox to a hub',
        target: 'keeps up',
        measured: `${(result.messagesPerSecond / 1000).toFixed(1)} k/s taken, leaf ${share(used, result)}, hub ${share(hubUsed, result)}, both sides equal ${settledMs.toFixed(0)} ms after the last`,
      }
    } finally {
      await stopRouter(leaf)
      await stopRouter(hub)
    }
  })
}

function share(seconds: number, { seconds: total }: LoadResult): string {
  return `${((seconds / total) * 100).toFixed(0)} % of a core`
}

/** Waits until all params of the namespace are the same on both. */
async function equal(leaf: Router, hub: Router, count: number): Promise<number> {
  const start = performance.now()
  const clients = await Promise.all([leaf, hub].map(({ port }) => connectClient(`tcp://127.0.0.1:${port}`)))
  try {
    for (;;) {
      const [ours, theirs] = await Promise.all(clients.map((client) => client.snapshot('/bench/*')))
      const values = new Map(theirs.map(({ address, value }) => [address, JSON.stringify(value, plain)]))
      const isEqual =
        ours.length === count &&
        ours.every(({ address, value }) => values.get(address) === JSON.stringify(value, plain))
      if (isEqual) return performance.now() - start
      if (performance.now() - start > 20_000) throw new Error('leaf and hub did not come together')
    }
  } finally {
    for (const client of clients) await client.close()
  }
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value
}

/** A change at one leaf, to a subscriber at another leaf of the same hub. */
async function star(): Promise<PartRow> {
  return inFolder(async (folder) => {
    const hub = await startRouter('hub: { accept: true }\n')
    const leaves: Router[] = []
    try {
      for (const id of ['a', 'b']) {
        const other = id === 'a' ? 'b' : 'a'
        leaves.push(
          await startRouter(
            `journal: { folder: ${join(folder, id)} }\nhub: { url: "tcp://127.0.0.1:${hub.port}", id: ${id}, namespaces: [/${id}/**], subscribe: [/${other}/**] }\n`,
          ),
        )
      }
      await linked(leaves[0], 'a', '/a')
      await linked(leaves[1], 'b', '/b')
      const [writer, reader] = await Promise.all(leaves.map(({ port }) => connectClient(`tcp://127.0.0.1:${port}`)))
      const latencies: number[] = []
      await reader.subscribe(['/a/x'], ({ value }) => {
        if (value?.type === 'f64') latencies.push(performance.now() - value.value)
      })
      for (let sent = 0; sent < STAR_CHANGES; sent++) {
        writer.send({ type: 'SET', address: '/a/x', value: { type: 'f64', value: performance.now() + 1e-7 } })
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
      await new Promise((resolve) => setTimeout(resolve, 200))
      await writer.close()
      await reader.close()
      const sorted = latencies.sort((a, b) => a - b)
      const at = (part: number) => (sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN).toFixed(2)
      return {
        name: 'leaf → hub → leaf, a change every 2 ms',
        target: 'p99 ≤ 5 ms',
        measured: `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${sorted.length} of ${STAR_CHANGES} arrived`,
      }
    } finally {
      for (const router of [...leaves, hub]) await stopRouter(router)
    }
  })
}

/**
 * 200 params that change ten times a second each. What is written per checkpoint counts: the bytes that the kernel was
 * given to write, in pages (`write_bytes`), taken over whole checkpoints after the first burst and scaled to a day of
 * checkpoints every five minutes.
 */
async function wear(): Promise<PartRow> {
  return inFolder(async (folder) => {
    const router = await startRouter(`journal: { folder: ${folder}, checkpoint: ${CHECKPOINT_SECONDS}s }\n`)
    try {
      const client = await connectClient(`tcp://127.0.0.1:${router.port}`)
      let n = 0
      const timer = setInterval(() => {
        n++
        for (let i = 0; i < 200; i++) {
          client.send({ type: 'SET', address: `/sensor/${i}/value`, value: { type: 'f64', value: n + i / 7 } })
        }
      }, 100)
      await new Promise((resolve) => setTimeout(resolve, 25_000))
      const before = writtenBytes(router)
      await new Promise((resolve) => setTimeout(resolve, WEAR_SECONDS * 1000))
      const bytes = writtenBytes(router) - before
      clearInterval(timer)
      await client.close()
      const aDay = (bytes / (WEAR_SECONDS / CHECKPOINT_SECONDS)) * CHECKPOINTS_A_DAY
      return {
        name: '200 params that change 10 times a second each: bytes to the medium',
        target: '≤ 50 MB a day',
        measured: `${(bytes / (WEAR_SECONDS / CHECKPOINT_SECONDS) / 1000).toFixed(0)} kB a checkpoint, ${(aDay / 1e6).toFixed(1)} MB a day`,
      }
    } finally {
      await stopRouter(router)
    }
  })
}

function writtenBytes({ process: { pid } }: Router): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1])
}

function cpuSeconds({ process: { pid } }: Router): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function throughput(results: LoadResult[]): string {
  const rate = median(results.map(({ messagesPerSecond }) => messagesPerSecond))
  const cpu = median(results.map(({ cpuUsPerDelivery }) => cpuUsPerDelivery))
  return `${(rate / 1000).toFixed(0)} k msg/s (${cpu.toFixed(2)} µs CPU)`
}

function latency(results: LoadResult[]): string {
  return `p50 ${median(results.map(({ p50Us }) => p50Us)).toFixed(0)} µs, p99 ${median(results.map(({ p99Us }) => p99Us)).toFixed(0)} µs`
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'clasp-edge-bench-journal-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
