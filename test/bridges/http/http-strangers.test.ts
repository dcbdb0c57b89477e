import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { until } from '../../until.ts'
import { BridgeScene } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'

const run = promisify(execFile)

function unlessThere(program: string, arguments_: string[], debianPackage: string): false | string {
  if (spawnSync(program, arguments_).status === 0) return false
  return `NOT TESTED: no ${program} (apt install ${debianPackage})`
}

const withoutCurl = unlessThere('curl', ['--version'], 'curl')
const withoutChromium = unlessThere('chromium', ['--version'], 'chromium')

async function start(t: TestContext, more = '') {
  const [port, otherPort] = [await freePort(), await freePort()]
  const scene = await BridgeScene.start(
    t,
    `- {id: rest, kind: http, listen: ${port}, host: 127.0.0.1${more}}
- {id: other, kind: http, namespace: /other, listen: ${otherPort}, host: 127.0.0.1}`,
  )
  return { scene, at: `http://127.0.0.1:${port}`, otherAt: `http://127.0.0.1:${otherPort}` }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

test('curl does what the page of examples says', { skip: withoutCurl }, async (t) => {
  const { scene, at } = await start(t)
  const curl = async (...words: string[]) => (await run('curl', ['-sS', '--max-time', '10', ...words])).stdout
  assert.equal(
    await curl('-X', 'PUT', `${at}/v1/state/lights/1`, '-d', '0.5'),
    '{"address":"/lights/1","value":0.5,"revision":1}',
  )
  assert.deepEqual(scene.param('/lights/1'), { type: 'f64', value: 0.5 })
  assert.match(
    await curl('-i', `${at}/v1/state/lights/1`),
    /^HTTP\/1\.1 200 OK\r\n[\s\S]*ETag: "1"\r\n[\s\S]*"value":0\.5/,
  )
  assert.equal(await curl(`${at}/v1/snapshot?pattern=/lights/**`), '{"/lights/1":0.5}')
  const bundle = '{"operations": [{"set": ["/lights/1", 0]}, {"emit": ["/cue/go", null]}]}'
  assert.equal(await curl(`${at}/v1/bundle`, '-d', bundle), '{"applied":2}')
  assert.match(await curl('-I', `${at}/v1/state/lights/1`), /^HTTP\/1\.1 200 OK/)
  assert.match(await curl('-i', '-X', 'PATCH', `${at}/v1/state/lights/1`), /405[\s\S]*Allow: GET, PUT, DELETE/)
})

test('curl -N sees events as they come', { skip: withoutCurl }, async (t) => {
  const { scene, at } = await start(t)
  await scene.set('/a/x', { type: 'i64', value: 1 })
  const child = spawn('curl', ['-sSN', `${at}/v1/events?pattern=/a/**&snapshot=1`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => end(child))
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  await until(() => said.includes('"final":true'), 'the snapshot')
  await scene.set('/a/x', { type: 'i64', value: 2 })
  await until(() => said.includes('"value":2'), 'the change')
  assert.match(said, /^retry: 2000\n\nid: \w+-0\nevent: snapshot\ndata: \{"state":\{"\/a\/x":1\},"final":true\}\n\n/)
  assert.match(said, /id: \w+-1\nevent: value\ndata: \{"address":"\/a\/x","value":2,"revision":2,"t":\d{16}\}\n\n$/)
})

/** A page that uses `listed` and then `other`, and posts what it saw to where it came from. */
const page = (listed: string, other: string) => `<!DOCTYPE html><title>page</title><script>
const seen = []
const json = { 'Content-Type': 'application/json' }
;(async () => {
  const events = new EventSource('${listed}/v1/events?pattern=/page/**&snapshot=1')
  const first = await new Promise((resolve) => events.addEventListener('snapshot', (e) => resolve(e.data)))
  seen.push('snapshot ' + first)
  const changed = new Promise((resolve) => events.addEventListener('value', (e) => resolve(JSON.parse(e.data))))
  const put = await fetch('${listed}/v1/state/page/x', { method: 'PUT', headers: json, body: '{"value": 0.25}' })
  seen.push('put ' + put.status + ' ' + put.headers.get('ETag'))
  const { address, value } = await changed
  seen.push('changed ' + address + ' ' + value)
  events.close()
  const gone = await fetch('${listed}/v1/state/page/x', { method: 'DELETE' })
  seen.push('delete ' + gone.status)
  const refused = await fetch('${other}/v1/state/page/y', { method: 'PUT', headers: json, body: '1' }).catch((e) => e.name)
  seen.push('unlisted PUT ' + refused)
  const unseen = await fetch('${other}/v1/health').catch((e) => e.name)
  seen.push('unlisted GET ' + unseen)
})().catch((error) => seen.push('failed ' + error)).finally(() => fetch('/seen', { method: 'POST', body: seen.join('\\n') }))
</script>`

/** What a page tells that a browser has opened. */
class PageServer {
  html = ''
  seen = ''
  origin = ''

  static async start(t: TestContext): Promise<PageServer> {
    const pages = new PageServer()
    const server = createServer((request, response) => {
      if (request.url !== '/seen') {
        response.writeHead(200, { 'Content-Type': 'text/html' }).end(pages.html)
        return
      }
      request.setEncoding('utf8').on('data', (chunk: string) => {
        pages.seen += chunk
      })
      request.on('end', () => response.end())
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    pages.origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`
    return pages
  }
}

function isRemoved(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true })
    return true
  } catch {
    return false
  }
}

function openBrowser(t: TestContext, url: string): void {
  const profile = mkdtempSync(join(tmpdir(), 'chromium-'))
  const child = spawn(
    'chromium',
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      url,
    ],
    { stdio: 'ignore', detached: true },
  )
  t.after(async () => {
    // With all that it has started, which may write for a moment longer.
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
    await end(child)
    await until(() => isRemoved(profile), 'the end of its processes')
  })
}

test('in Chromium, a page of another origin reads, writes and listens where it is listed, and nowhere else', {
  skip: withoutChromium,
}, async (t) => {
  const pages = await PageServer.start(t)
  const { scene, at, otherAt } = await start(t, `, origins: ["${pages.origin}"]`)
  pages.html = page(at, otherAt)
  await scene.set('/page/before', { type: 'i64', value: 7 })
  openBrowser(t, `${pages.origin}/`)
  await until(() => pages.seen !== '', 'a word from the page', 60_000)
  assert.deepEqual(pages.seen.split('\n'), [
    'snapshot {"state":{"/page/before":7},"final":true}',
    'put 200 "1"',
    'changed /page/x 0.25',
    'delete 204',
    'unlisted PUT TypeError',
    'unlisted GET TypeError',
  ])
  assert.deepEqual(
    scene.heard.filter(({ address }) => address === '/page/x' || address === '/page/y').map(({ value }) => value),
    [{ type: 'f64', value: 0.25 }, { type: 'null' }],
  )
})
