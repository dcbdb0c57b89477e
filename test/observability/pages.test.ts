import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { connect } from '../../runtime/client/connect.ts'
import { defaultConfig } from '../../runtime/config/schema.ts'
import { type Edge, startEdge } from '../../runtime/edge.ts'
import { createLog } from '../../runtime/observability/log.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { until } from '../until.ts'

describe('a running edge', () => {
  let edge: Edge
  let url: string
  before(async () => {
    const config = structuredClone(defaultConfig)
    Object.assign(config.listen, { host: '127.0.0.1', port: 0, udp: false })
    Object.assign(config.discovery, { mdns: false, broadcast: false })
    Object.assign(config, { name: 'Stage "left"', simulate: true })
    edge = await startEdge(config, { log: silentLog, version: '9.9.9' })
    url = `http://127.0.0.1:${edge.port}`
  })
  after(() => edge.stop())

  it('answers /status with what an operator asks for', async () => {
    const report = (await (await fetch(`${url}/status`)).json()) as Record<string, never>
    assert.equal(report.name, 'Stage "left"')
    assert.equal(report.version, '9.9.9')
    assert.equal(report.isReady, true)
    assert.deepEqual(report.addresses, [`ws://127.0.0.1:${edge.port}/clasp`])
    assert.ok((report.sessions as { name: string }[]).some(({ name }) => name === 'simulated board'))
  })

  it('answers /metrics in the Prometheus format, under the names that dashboards know', async () => {
    const text = await (await fetch(`${url}/metrics`)).text()
    for (const line of text.trimEnd().split('\n')) {
      assert.match(line, /^(# (HELP|TYPE) [a-z0-9_]+ .+|[a-z0-9_]+(\{([a-z_]+="([^"\\]|\\.)*",?)*\})? -?[0-9.e+-]+)$/)
    }
    for (const name of [
      'messages_total',
      'errors_total',
      'sessions_active',
      'subscriptions_active',
      'state_params_active',
      'drops_total',
    ]) {
      assert.match(text, new RegExp(`^# TYPE clasp_${name} `, 'm'))
    }
    assert.match(text, /clasp_messages_total\{type="set"\} [1-9]/)
  })

  it('answers health checks, and any other path with ok', async () => {
    for (const [path, body] of [
      ['/healthz', 'ok\n'],
      ['/readyz', 'ready\n'],
      ['/anything', 'ok\n'],
    ]) {
      const response = await fetch(url + path)
      assert.deepEqual([response.status, await response.text()], [200, body])
    }
  })

  it('has its own state as params, and a simulated board whose lamp can be switched', async () => {
    const client = await connect(`ws://127.0.0.1:${edge.port}`, { name: 'test' })
    try {
      const seen = new Map<string, unknown>()
      await client.subscribe(['/_clasp/**', '/sim/**'], ({ address, value }) =>
        seen.set(address, value && 'value' in value ? value.value : null),
      )
      await until(() => seen.get('/_clasp/version') === '9.9.9' && seen.has('/sim/temperature'), 'the params')
      const changes = Number(seen.get('/sim/led/changes') ?? 0)
      await client.set('/sim/led', { type: 'bool', value: true })
      await until(() => Number(seen.get('/sim/led/changes')) === changes + 1, 'the lamp')
      await until(() => Number(seen.get('/sim/knob')) > 0, 'the knob to turn')
      const signals = await client.query('/sim/**')
      assert.ok(signals.some(({ address, type }) => address === '/sim/button' && type === 'event'))
    } finally {
      await client.close()
    }
  })

  it('applies what can change, and names what needs a restart until it has had one', () => {
    const next = structuredClone(defaultConfig)
    Object.assign(next.listen, { host: '127.0.0.1', port: 0, udp: false })
    Object.assign(next.discovery, { mdns: false, broadcast: false })
    Object.assign(next, { name: 'Another', simulate: true })
    next.limits.params = 77
    for (const applied of [['limits.params'], []]) {
      assert.deepEqual(edge.reload(next), { applied, needsRestart: ['name'] })
    }
  })
})

describe('the log', () => {
  const collect = (format: 'text' | 'json', environment = {}) => {
    const lines: string[] = []
    const stream = { write: (text: string) => lines.push(text), on: () => {}, off: () => {} }
    return { lines, log: createLog({ level: 'info', format, stream, environment }) }
  }

  it('writes one line an event, whatever peers put into names', () => {
    const { lines, log } = collect('text')
    log.info('session started', { name: 'evil\n\x1b[2Jname', remote: '10.0.0.1:5' })
    log.debug('not this one')
    log.close()
    assert.equal(lines.length, 1)
    assert.equal(lines[0].indexOf('\n'), lines[0].length - 1)
    assert.ok(!lines[0].includes('\x1b'))
    assert.match(lines[0], /info +session started .*remote=10\.0\.0\.1:5/)
  })

  it('leaves time and importance to the journal when there is one', () => {
    const { lines, log } = collect('text', { JOURNAL_STREAM: '8:1' })
    log.warn('disk is full')
    log.close()
    assert.equal(lines[0], '<4>disk is full\n')
  })

  it('as JSON can be read by machines', () => {
    const { lines, log } = collect('json')
    log.error('broken "pipe"', { port: 7330 })
    log.close()
    const { level, message, port } = JSON.parse(lines[0])
    assert.deepEqual([level, message, port], ['error', 'broken "pipe"', 7330])
  })

  it('counts what repeats itself', () => {
    const { lines, log } = collect('text')
    for (let i = 0; i < 500; i++) log.warn('the same again', { i })
    log.close()
    assert.ok(lines.length >= 10 && lines.length <= 12, `${lines.length} lines`)
    assert.match(lines[lines.length - 1], /490/)
  })
})
