import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import { toHex } from '../firmware-protocol/vectors.ts'
import { float } from '../router/fixture.ts'
import { SteppedClock } from '../router/stepped-clock.ts'
import { until } from '../until.ts'
import { UpstreamHub } from './upstream-hub.ts'
import { HexPeer } from './upstream-peer.ts'

const SESSION = '11111111-2222-4333-8444-555555555555'
/** Of the frames in federation.md §17. */
const WALL_US = 1_767_225_600_000_000

const HELLO = '530100170101e40010636c6173702d66656465726174696f6e0000'
const WELCOME =
  '530100400201f80006474846204000002431313131313131312d323232322d343333332d383434342d353535353535353535353535000b434c4153502052656c61790000'
const EMPTY_SNAPSHOT = '53010003230000'
const DECLARE = '5341001f04010001000a2f736974652d612f2a2a000040000a73746167652d6c656674'
const REQUEST_SYNC = '5341001f04020001000a2f736974652d612f2a2a000040000a73746167652d6c656674'
const SYNC_COMPLETE = '5341002004040001000a2f736974652d612f2a2a000040000b434c4153502052656c6179'
const ACK = '530100025000'
const PING = '5301000141'
const PONG = '5301000142'
const SET = '53410015210700092f736974652d612f744035800000000000'
const SNAPSHOT_7 =
  '5301004e23000100092f736974652d612f74074035800000000000000000000000000703002431313131313131312d323232322d343333332d383434342d3535353535353535353535350006474846204000'

async function hubAt(
  t: TestContext,
  setup: { auth?: Record<string, { scopes: string[]; expiresAtUs?: number }> } = {},
) {
  const clock = new SteppedClock()
  clock.stepWall(WALL_US - clock.wallUs())
  return UpstreamHub.start(t, { clock, sessionIds: [SESSION], ...setup })
}

/** A leaf that has said HELLO and, unless told otherwise, declared /site-a/**. */
async function leafAt(t: TestContext, hub: UpstreamHub, isDeclared = true): Promise<HexPeer> {
  const leaf = await HexPeer.open(t, hub)
  leaf.send(HELLO)
  await leaf.take(2)
  if (!isDeclared) return leaf
  leaf.send(DECLARE)
  await leaf.take(1)
  return leaf
}

describe('the scripted hub, byte for byte', () => {
  it('greets, takes a declaration, and answers a sync as federation.md §17.1 shows', async (t) => {
    const hub = await hubAt(t)
    const leaf = await HexPeer.open(t, hub)
    assert.equal(leaf.socket.protocol, 'clasp')
    leaf.send(HELLO)
    assert.deepEqual(await leaf.take(2), [WELCOME, EMPTY_SNAPSHOT])
    leaf.send(PING)
    assert.deepEqual(await leaf.take(1), [PONG])
    leaf.send(DECLARE)
    assert.deepEqual(await leaf.take(1), [ACK])
    leaf.send('5341001310000003e8000a2f736974652d622f2a2aff00')
    leaf.send(PING)
    assert.deepEqual(await leaf.take(1), [PONG], 'an empty subscription is not answered')
    for (let i = 0; i < 7; i++) hub.set('/site-a/t', float(21.5), { writer: SESSION })
    await leaf.take(7)
    leaf.send(REQUEST_SYNC)
    assert.deepEqual(await leaf.take(2), [SNAPSHOT_7, SYNC_COMPLETE])
    leaf.send('5341002704020001000a2f736974652d612f2a2a0000c00000000000000029000a73746167652d6c656674')
    assert.deepEqual(await leaf.take(2), [EMPTY_SNAPSHOT, SYNC_COMPLETE], 'since 41 there is nothing')
    leaf.send('5341002604030000000100092f736974652d612f74000000000000000740000a73746167652d6c656674')
    leaf.send('5341000704030000000000')
    leaf.send(PING)
    assert.deepEqual(await leaf.take(1), [PONG], 'equal revisions are answered with silence')
    leaf.send('5341002604030000000100092f736974652d612f74000000000000000640000a73746167652d6c656674')
    assert.deepEqual(await leaf.take(1), [SNAPSHOT_7])
  })

  it('echoes an owned write before the ACK, TTL included, as §17.2 shows', async (t) => {
    const hub = await hubAt(t)
    const leaf = await leafAt(t, hub)
    for (let i = 0; i < 7; i++) hub.set('/site-a/t', float(0))
    await leaf.take(7)
    leaf.send('53410019211700092f736974652d612f74403580000000000000000000')
    assert.deepEqual(await leaf.take(2), [
      '53410021219700092f736974652d612f744035800000000000000000000000000800000000',
      '53010015500300092f736974652d612f740000000000000008',
    ])
    assert.deepEqual(hub.params.get('/site-a/t')?.ttl, { mode: 'never' })
    leaf.send('53410011211000092f736974652d612f7480000001')
    await leaf.take(2)
    assert.deepEqual(hub.params.get('/site-a/t')?.ttl, { mode: 'absolute', seconds: 1 })
    leaf.send('5341002b2115001b2f736974652d612f5f6c6561662f73746167652d6c6566742f68620000000000000001000000b4')
    await leaf.take(2)
    assert.deepEqual(hub.params.get('/site-a/_leaf/stage-left/hb')?.ttl, { mode: 'sliding', seconds: 180 })
  })

  it('copies a SET without TTL into an echo without TTL', async (t) => {
    const hub = await hubAt(t)
    const leaf = await leafAt(t, hub)
    for (let i = 0; i < 7; i++) hub.set('/site-a/t', float(0))
    await leaf.take(7)
    leaf.send(SET)
    assert.equal((await leaf.take(2))[0], '5341001d218700092f736974652d612f7440358000000000000000000000000008')
  })

  it('refuses what a declared leaf may not do with the texts of §17.4', async (t) => {
    const hub = await hubAt(t)
    const leaf = await leafAt(t, hub)
    leaf.send('53410015210500092f736974652d622f780000000000000001')
    assert.deepEqual(await leaf.take(1), [
      '5301003a5101930029534554206f757473696465206465636c617265642066656465726174696f6e206e616d6573706163650100092f736974652d622f78',
    ])
    leaf.send('5341001304020001000a2f736974652d622f2a2a000000')
    assert.deepEqual(await leaf.take(1), [
      '5301003d51019300377061747465726e20272f736974652d622f2a2a27206e6f7420636f7665726564206279206465636c61726564206e616d6573706163657300',
    ])
    for (let i = 0; i < 8; i++) hub.set('/site-a/t', float(0))
    await leaf.take(8)
    leaf.send('5341001d218700092f736974652d612f7440358000000000000000000000000003')
    assert.deepEqual(await leaf.take(1), [
      '5301003c510190002b5265766973696f6e436f6e666c696374207b2065787065637465643a20332c2061637475616c3a2038207d0100092f736974652d612f74',
    ])
  })

  it('refuses a session that is no peer, too many patterns, and what its token does not allow', async (t) => {
    const scopes = ['read:/site-a/x', 'write:/site-a/**']
    const hub = await hubAt(t, { auth: { cpsk_00112233445566778899aabbccddeeff: { scopes } } })
    const leaf = await HexPeer.open(t, hub)
    const tokenHello =
      '530100360101fc000a73746167652d6c65667400256370736b5f3030313132323333343435353636373738383939616162626363646465656666'
    leaf.send(tokenHello)
    assert.deepEqual(await leaf.take(2), [WELCOME, EMPTY_SNAPSHOT])
    leaf.send(DECLARE)
    assert.deepEqual(await leaf.take(1), [
      '53010032510193002c696e73756666696369656e742073636f706520666f72206e616d6573706163653a202f736974652d612f2a2a00',
    ])
    leaf.send('53410015210500092f736974652d622f780000000000000001')
    assert.deepEqual(await leaf.take(1), [
      '5301003751012d0026496e73756666696369656e742073636f706520666f72207772697465206f7065726174696f6e0100092f736974652d622f78',
    ])
    const patterns = Array<string>(1001).fill('/site-a/x')
    leaf.send(toHex(encodeFrame({ type: 'FEDERATION_SYNC', op: 'declare_namespaces', patterns, revisions: [] })))
    assert.deepEqual(await leaf.take(1), [
      '53010032510190002c746f6f206d616e79206e616d657370616365207061747465726e733a203130303120286d617820313030302900',
    ])
    const client = await HexPeer.open(t, hub)
    client.send(tokenHello.replace('0101fc', '0101f8'))
    await client.take(2)
    client.send(DECLARE)
    assert.deepEqual(await client.take(1), [
      '53010030510193002a46656465726174696f6e53796e632072657175697265732066656465726174696f6e206665617475726500',
    ])
  })

  it('takes no HELLO without a token that is valid, and closes', async (t) => {
    const hub = await hubAt(t, {
      auth: { cpsk_00112233445566778899aabbccddeeff: { scopes: [], expiresAtUs: WALL_US - 1 } },
    })
    const nobody = await HexPeer.open(t, hub)
    nobody.send(HELLO)
    assert.deepEqual(await nobody.take(1), ['5301001d51012c001741757468656e7469636174696f6e20726571756972656400'])
    const late = await HexPeer.open(t, hub)
    late.send(
      '530100360101fc000a73746167652d6c65667400256370736b5f3030313132323333343435353636373738383939616162626363646465656666',
    )
    assert.deepEqual(await late.take(1), ['5301001751012e0011546f6b656e20686173206578706972656400'])
    await until(() => nobody.isClosed && late.isClosed, 'the end of both connections')
  })

  it('discards the 31st frame of a second under a token, and says so', async (t) => {
    const hub = await hubAt(t)
    hub.rateLimit = 30
    const leaf = await leafAt(t, hub, false)
    for (let i = 0; i < 31; i++) leaf.send(PING)
    const frames = await leaf.take(31)
    assert.deepEqual(frames.slice(0, 30), Array(30).fill(PONG))
    assert.equal(
      frames[30],
      '5301002d5101ad002752617465206c696d69742065786365656465643a203330206d657373616765732f7365636f6e6400',
    )
  })

  it('tells the clock, a value and the end of a bundle as §17.5 shows', async (t) => {
    const hub = await hubAt(t)
    const leaf = await leafAt(t, hub)
    leaf.send('5301000a40000006474846204000')
    const [sync] = await leaf.take(1)
    assert.equal(sync, '5301001a4003000647484620400000064748462040000006474846204000')
    leaf.send(
      '53810034300000020019211700092f736974652d612f7440358000000000000000000000132111000a2f736974652d612f6f6e0100000000',
    )
    assert.equal((await leaf.take(3))[2], '5301000a50020000000000000001')
    leaf.send('530100152200122f736974652d612f5f6665642f65706f6368')
    leaf.send('534100152020000b2f736974652d612f63756501080002676f')
    leaf.send(PING)
    assert.deepEqual(await leaf.take(1), [PONG], 'neither a missing value nor an accepted event is answered')
    assert.equal(hub.seen.count('PUBLISH'), 1)
  })
})
