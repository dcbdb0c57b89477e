import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'
import { describe, it } from 'node:test'
import { probeReply } from '../../runtime/discovery/broadcast.ts'
import { discover } from '../../runtime/discovery/discover.ts'
import { routersIn } from '../../runtime/discovery/discover-mdns.ts'
import type { FoundRouter } from '../../runtime/discovery/found-router.ts'
import { advertise } from '../../runtime/discovery/mdns.ts'
import { findConflict } from '../../runtime/discovery/mdns-conflict.ts'
import { AdvertRecords, instanceName, SERVICE_TYPE, txtStrings } from '../../runtime/discovery/mdns-records.ts'
import { systemClock } from '../../runtime/router/clock.ts'
import { silentLog } from '../../runtime/router/log.ts'
import { listenUdp } from '../../runtime/transports/udp.ts'
import { SteppedClock } from '../router/stepped-clock.ts'

const id = '15d1a9bf-6f77-8cac-9293-09da0c543535'
const clock = { ...systemClock, wallUs: () => 1_700_000_000_000_000 }
const txt = txtStrings({
  name: 'Leaf',
  features: ['param', 'stream', 'event', 'timeline', 'gesture'],
  id,
  ws: 7330,
  tcp: 7330,
  udp: 7330,
})
const advert = { instance: 'Leaf', host: 'stage', port: 7330, txt }

describe('mDNS', () => {
  it('outlives a system that does not tell its interfaces', async (t) => {
    t.mock.method(os, 'networkInterfaces', () => {
      throw new Error('uv_interface_addresses returned EMFILE')
    })
    syncBuiltinESMExports()
    t.after(() => {
      t.mock.restoreAll()
      syncBuiltinESMExports()
    })
    const warnings: unknown[] = []
    const log = { ...silentLog, warn: (_message: string, fields?: object) => warnings.push(fields) }
    const facts = { name: 'Leaf', id, features: ['param' as const], ws: 7330, tcp: 7330, isTls: false }
    const advertisement = advertise(facts, new SteppedClock(), log)
    await advertisement.stop()
    assert.match(JSON.stringify(warnings), /EMFILE/)
  })
})

describe('broadcast discovery', () => {
  it('answers a probe with the bytes that seekers expect', () => {
    const reply = Buffer.from(probeReply({ name: 'leaf', features: ['param', 'event', 'stream'], id, clock }))
    const expected = `5301003902 01e0 00060a24181e4000 0024 ${Buffer.from(id).toString('hex')} 0004 6c656166 0000`
    assert.equal(reply.toString('hex'), expected.replaceAll(' ', ''))
  })

  it('finds a router and reports it once, however often it answers', async () => {
    const aborter = new AbortController()
    const router = await listenUdp(
      { host: '127.0.0.1', ports: [0], probeReply: () => probeReply({ name: 'leaf', features: ['param'], id, clock }) },
      { attach: () => assert.fail('a probe makes no session') },
      silentLog,
      aborter.signal,
    )
    const reported: FoundRouter[] = []
    const found = await discover({
      timeoutMs: 1200,
      targets: [{ address: '127.0.0.1', port: router.ports[0] }],
      interfaces: [],
      onFound: (one) => reported.push(one),
    })
    await router.stop()
    const expected = {
      name: 'leaf',
      url: 'ws://127.0.0.1:7330/clasp',
      address: '127.0.0.1',
      features: ['param'],
      via: 'broadcast',
      id,
    }
    assert.deepEqual(found, [expected])
    assert.deepEqual(reported, [expected])
  })
})

describe('mDNS', () => {
  it('has its facts in the order that readers know', () => {
    assert.deepEqual(txt.slice(0, 4), ['version=2', 'name=Leaf', 'features=psetg', 'ws=7330'])
  })

  it('answers with everything in one packet, the address last, as the Arduino library needs it', () => {
    const many = Array.from({ length: 20 }, (_, i) => `fd00::${i + 1}`)
    const records = new AdvertRecords(advert, ['192.168.1.20'], many)
    const answer = records.answer({ name: SERVICE_TYPE, type: 'PTR' }, [])
    assert.ok(answer !== undefined)
    const types = answer.additionals.map(({ type }) => type)
    assert.deepEqual(types.slice(-2), ['SRV', 'A'])
    assert.equal(records.answer({ name: '_http._tcp.local', type: 'PTR' }, []), undefined)
    assert.equal(records.answer({ name: SERVICE_TYPE, type: 'PTR' }, answer.answers), undefined, 'the asker knows it')
  })

  it('says goodbye with a time to live of nothing', () => {
    const { answers } = new AdvertRecords(advert, ['192.168.1.20'], []).goodbye()
    assert.ok(answers.length >= 2 && answers.every(({ ttl }) => ttl === 0))
  })

  it('is read back to a router that one can connect to', () => {
    const { answers } = new AdvertRecords(advert, ['192.168.1.20'], ['fd00::1']).announcement()
    assert.deepEqual(routersIn(answers, '10.0.0.9'), [
      {
        name: 'Leaf',
        url: 'ws://192.168.1.20:7330/clasp',
        tcp: 'tcp://192.168.1.20:7330',
        address: '192.168.1.20',
        features: ['param', 'stream', 'event', 'timeline', 'gesture'],
        via: 'mdns',
        id,
      },
    ])
    const [six] = routersIn(new AdvertRecords(advert, [], ['fd00::1']).announcement().answers, '10.0.0.9')
    assert.equal(six.url, 'ws://[fd00::1]:7330/clasp')
    const [linkLocal] = routersIn(new AdvertRecords(advert, [], ['fe80::1']).announcement().answers, '10.0.0.9')
    assert.equal(linkLocal.url, 'ws://10.0.0.9:7330/clasp')
  })

  it('gives way to another router of the same name, and not to itself', () => {
    const claim = {
      fullName: `Leaf.${SERVICE_TYPE}`,
      hostName: 'stage.local',
      port: 7330,
      id,
      addresses: ['192.168.1.20'],
    }
    const packet = (facts: string[], address: string) => {
      const { answers } = new AdvertRecords({ ...advert, txt: facts }, [address], []).announcement()
      return { id: 0, questions: [], answers, additionals: [] }
    }
    assert.equal(findConflict(packet(txt, '192.168.1.20'), claim), undefined)
    assert.deepEqual(findConflict(packet(['id=other'], '192.168.1.21'), claim), { over: 'service', rivalId: 'other' })
    assert.deepEqual(
      findConflict(packet(['id=other'], '192.168.1.21'), { ...claim, fullName: `Else.${SERVICE_TYPE}` }),
      {
        over: 'host',
      },
    )
    const renamed = { ...claim, hostName: 'stage-15d1.local' }
    assert.equal(findConflict(packet(txt, '192.168.1.20'), renamed), undefined, 'its own packet from before a rename')
    assert.equal(instanceName('Leaf', 2), 'Leaf (2)')
    assert.equal(Buffer.byteLength(instanceName('ä'.repeat(60), 12)) <= 63, true)
  })

  const canMakeNetworks =
    process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('ip', ['netns']).status === 0
  const skip = canMakeNetworks ? false : 'SKIPPED: needs root and the program ip (Debian: iproute2) to make two hosts'
  it('lets one host find the router of another', { skip }, async () => {
    const [here, there] = [`clasp-a-${process.pid}`, `clasp-b-${process.pid}`]
    const ip = (...args: string[]) => {
      const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
      assert.equal(status, 0, `ip ${args.join(' ')}: ${stderr}`)
    }
    for (const name of [here, there]) ip('netns', 'add', name)
    try {
      ip('-n', here, 'link', 'add', 'va', 'type', 'veth', 'peer', 'name', 'vb', 'netns', there)
      for (const [name, link, address] of [
        [here, 'va', '192.168.77.1/24'],
        [there, 'vb', '192.168.77.2/24'],
      ]) {
        ip('-n', name, 'addr', 'add', address, 'dev', link)
        ip('-n', name, 'link', 'set', link, 'up')
        ip('-n', name, 'link', 'set', 'lo', 'up')
      }
      const program = 'dist/clasp-edge.cjs'
      const router = spawn('ip', ['netns', 'exec', here, process.execPath, program, 'run'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      await new Promise<void>((resolve) =>
        router.stdout.on('data', (data) => `${data}`.includes('try next') && resolve()),
      )
      const args = ['netns', 'exec', there, process.execPath, program, 'discover', '--json']
      // The router announces itself a moment after it is up; until then only broadcast finds it.
      let found = { url: '', tcp: '', via: '' }
      for (let attempt = 0; attempt < 5 && found.via !== 'mdns'; attempt++) {
        found = JSON.parse(spawnSync('ip', args, { encoding: 'utf8' }).stdout)
      }
      const exit = new Promise((resolve) => router.once('exit', resolve))
      router.kill('SIGINT')
      assert.equal(await exit, 0)
      assert.deepEqual(
        [found.url, found.tcp, found.via],
        ['ws://192.168.77.1:7330/clasp', 'tcp://192.168.77.1:7330', 'mdns'],
      )
    } finally {
      for (const name of [here, there]) spawnSync('ip', ['netns', 'del', name])
    }
  })
})
