import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import { type PeerProfile, peerProfile } from '../../runtime/firmware/peer-profile.ts'
import type { Framing } from '../../runtime/router/link.ts'
import { helloFrame } from '../../runtime/transports/datagram-frame.ts'
import { unhex } from '../transports/fixture.ts'

const ARDUINO = '53 41 000C 01 01 E0 0005 4553503332 0000'
const EMBEDDED = '53 01 000C 01 01 F8 0005 4553503332 0000'

function profileOf(hex: string, framing: Framing['name']): PeerProfile {
  const bytes = unhex(hex)
  return peerProfile(framing, bytes, 0, bytes.length)
}

test('the Arduino library is known by its HELLO on every carrier but WebSocket', () => {
  assert.equal(profileOf(ARDUINO, 'prefixed'), 'arduino')
  assert.equal(profileOf(ARDUINO, 'bare'), 'arduino')
  assert.equal(profileOf(ARDUINO, 'websocket'), 'full')
})

test('the embedded client is known only where full clients do not send the same HELLO', () => {
  assert.equal(profileOf(EMBEDDED, 'bare'), 'embedded')
  assert.equal(profileOf(EMBEDDED, 'prefixed'), 'full')
  assert.equal(profileOf(EMBEDDED, 'websocket'), 'full')
})

test('a HELLO with other flags or features is a full client', () => {
  for (const hello of [
    ARDUINO.replace('53 41', '53 01'),
    EMBEDDED.replace('53 01', '53 41'),
    ARDUINO.replace('E0', 'F8'),
    EMBEDDED.replace('F8', '00'),
    '53 21 000C 0000000000000000 01 01 F8 0005 4553503332 0000',
  ]) {
    assert.equal(profileOf(hello, 'bare'), 'full', hello)
  }
})

test('what is not HELLO, or no frame, proves nothing', () => {
  for (const frame of ['', '53', '53 01 00 00', '53 01 00 01 41', '53 41 00 03 21 01 E0', '00 41 000C 01 01 E0 0000']) {
    assert.equal(profileOf(frame, 'bare'), 'full', frame)
  }
  const set = encodeFrame({ type: 'SET', address: '/a', value: { type: 'f32', value: 1 } })
  assert.equal(peerProfile('bare', set, 0, set.length), 'full')
})

test('the frame is looked at where it stands', () => {
  const bytes = Buffer.concat([unhex('FF FF FF'), unhex(ARDUINO), unhex('00')])
  assert.equal(peerProfile('prefixed', bytes, 3, bytes.length - 1), 'arduino')
  assert.equal(peerProfile('prefixed', bytes, 2, bytes.length - 1), 'full')
})

test('a HELLO on behalf of a silent device makes it an embedded client', () => {
  const hello = helloFrame('serial:greenhouse')
  assert.equal(peerProfile('bare', hello, 0, hello.length), 'embedded')
})
