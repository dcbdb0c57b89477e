import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Scene } from '../scene.ts'

const PORT = '/dev/ttyAMA0'

/** Published examples, with the checksums that they have there. */
const GGA = '$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47'
const RMC = '$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A'
const GSA = '$GPGSA,A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1*39'
const GSV = '$GPGSV,2,1,08,01,40,083,46,02,17,308,41,12,07,344,39,14,22,228,45*75'
const GLL = '$GPGLL,4916.45,N,12311.12,W,225444,A,*1D'
const VTG = '$GPVTG,054.7,T,034.4,M,005.5,N,010.2,K*48'

/** For sentences that are nowhere published. */
function sentence(body: string): string {
  const sum = [...Buffer.from(body)].reduce((one, other) => one ^ other, 0)
  return `$${body}*${sum.toString(16).padStart(2, '0').toUpperCase()}`
}

const start = (t: TestContext, more = '') =>
  Scene.start(t, `- {name: boat, kind: nmea, port: ${PORT}, simulate: false${more}}`)

async function feed(scene: Scene, ...sentences: string[]): Promise<void> {
  for (const text of sentences) assert.ok(scene.serial.feed(PORT, Buffer.from(`${text}\r\n`)))
  await scene.settle()
}

const param = (scene: Scene, key: string) => scene.params.get(`/gps/boat/${key}`)

test('the published sentences are read as what they say', async (t) => {
  const scene = await start(t)
  await feed(scene, GGA, GSA, GSV, RMC)
  assert.deepEqual(param(scene, 'position'), { lat: 48.1173, lon: 11.5166667, alt: 545.4 })
  assert.equal(param(scene, 'fix'), '3d')
  assert.equal(param(scene, 'satellites'), 8)
  assert.equal(param(scene, 'inView'), 8)
  // 22.4 knots of 1852 m an hour.
  assert.equal(param(scene, 'speed'), 11.524)
  assert.equal(param(scene, 'course'), 84.4)
  await scene.pass(100)
  assert.equal(param(scene, 'hdop'), 1.3)
  await scene.pass(1000)
  await feed(scene, VTG)
  assert.deepEqual([param(scene, 'speed'), param(scene, 'course')], [2.829, 54.7])
})

test('south and west are negative, and the other talkers are understood', async (t) => {
  const scene = await start(t)
  await feed(scene, sentence('GNGGA,000000.00,3351.35000,S,15112.40000,E,4,15,0.7,12.5,M,22.1,M,1.0,0001'))
  assert.deepEqual(param(scene, 'position'), { lat: -33.8558333, lon: 151.2066667, alt: 12.5 })
  await scene.pass(1000)
  await feed(scene, sentence('GNGGA,000001.00,0000.60000,N,00030.00000,W,1,05,2.0,0.0,M,,M,,'))
  assert.deepEqual(param(scene, 'position'), { lat: 0.01, lon: -0.5, alt: 0 })
  await feed(scene, sentence('GPGSV,1,1,04'), sentence('GLGSV,1,1,03'), sentence('GAGSV,1,1,02'))
  assert.equal(param(scene, 'inView'), 4)
  await scene.pass(200)
  assert.equal(param(scene, 'inView'), 9)
})

test('a receiver that sends only GLL or RMC has a position without an altitude', async (t) => {
  const scene = await start(t)
  await feed(scene, GLL)
  assert.deepEqual(param(scene, 'position'), { lat: 49.2741667, lon: -123.1853333, alt: null })
  assert.equal(param(scene, 'fix'), '2d')
  await scene.pass(1000)
  await feed(scene, RMC, GLL)
  assert.deepEqual(param(scene, 'position'), { lat: 48.1173, lon: 11.5166667, alt: null })
})

test('the position is null when the fix is lost, and before there was one', async (t) => {
  const scene = await start(t)
  await feed(scene, sentence('GNGGA,101010.00,,,,,0,00,99.99,,,,,,'), sentence('GNRMC,101010.00,V,,,,,,,110725,,,N'))
  assert.deepEqual([param(scene, 'position'), param(scene, 'fix')], [null, 'none'])
  await scene.pass(1000)
  await feed(scene, GGA, RMC)
  assert.notEqual(param(scene, 'position'), null)
  await scene.pass(1000)
  await feed(scene, sentence('GNGGA,101011.00,,,,,0,00,99.99,,,,,,'), sentence('GNRMC,101011.00,V,,,,,,,110725,,,N'))
  for (const key of ['position', 'speed', 'course', 'hdop']) assert.equal(param(scene, key), null, key)
  assert.deepEqual([param(scene, 'fix'), param(scene, 'satellites')], ['none', 0])
})

test('the time goes on at midnight, and a week counter that has wrapped is put right', async (t) => {
  const scene = await start(t)
  const at = (text: string) => Date.parse(text) * 1000
  await feed(scene, sentence('GPRMC,235959.50,A,4807.0,N,01131.0,E,0.0,,311223,,,A'))
  assert.equal(param(scene, 'time'), at('2023-12-31T23:59:59.500Z'))
  await scene.pass(1000)
  await feed(scene, sentence('GPGGA,000000.50,4807.0,N,01131.0,E,1,08,0.9,545.4,M,46.9,M,,'))
  assert.equal(param(scene, 'time'), at('2024-01-01T00:00:00.500Z'))
  await scene.pass(1000)
  await feed(scene, sentence('GPRMC,000001.50,A,4807.0,N,01131.0,E,0.0,,010124,,,A'))
  assert.equal(param(scene, 'time'), at('2024-01-01T00:00:01.500Z'))
  assert.equal(param(scene, 'course'), null)
  await scene.pass(1000)
  // The clock of the board says November 2023; 1024 weeks before the 20th of that month was the 5th of April 2004.
  await feed(scene, sentence('GPRMC,120000.00,A,4807.0,N,01131.0,E,0.0,,050404,,,A'))
  assert.equal(param(scene, 'time'), at('2023-11-20T12:00:00Z'))
})

test('sentences with a wrong checksum, without one, and halves of them are left out', async (t) => {
  const scene = await start(t)
  await feed(scene, GGA.slice(30))
  assert.deepEqual(scene.told('/gps/boat/error', 'code'), [], 'the first line is always cut off')
  await feed(scene, GGA.replace('4807', '4907'), GGA.slice(0, -3), '$GPGGA*', 'noise', '$')
  assert.equal(param(scene, 'position'), undefined)
  assert.match(String(scene.told('/gps/boat/error', 'message')), /a line could not be read.*4907.*checksum.*baudRate/)
  await feed(scene, `${GGA.slice(0, 20)}${GGA}`)
  assert.deepEqual(param(scene, 'position'), { lat: 48.1173, lon: 11.5166667, alt: 545.4 })
})

test('nonsense with a right checksum does no harm', async (t) => {
  const scene = await start(t)
  await feed(
    scene,
    ...[
      'GPGGA',
      'GPGGA,999999,9999.9,X,99999.9,Q,x,y,z',
      'GPRMC,,A,,,,,,,,',
      'GPRMC,256161,A,9100.0,N,18100.0,E,,,320199',
    ],
    ...['GPGSV', 'GPGSA', 'GPVTG', 'GPGLL', 'PUBX,00', 'GPRMC,120000,A,4899.0,N,01131.0,E,,,300299'].map(sentence),
    ...['GPGGA', 'GPRMC,,A,,,,,,,,', 'GPRMC,256161,A,9100.0,N,18100.0,E,,,320199'].map(sentence),
  )
  assert.equal(param(scene, 'position'), null)
  assert.equal(scene.params.get('/gps/boat/ok'), true)
})

test('a wrong baud rate is told after ten seconds, and the position is gone', async (t) => {
  const scene = await start(t)
  await feed(scene, GGA)
  await scene.pass(5000)
  scene.serial.feed(PORT, Uint8Array.of(0x80, 0xf8, 0x06, 0x78, 0x1c))
  await scene.pass(5000)
  assert.equal(scene.params.get('/gps/boat/ok'), false)
  assert.equal(param(scene, 'position'), null)
  const message = String(scene.told('/gps/boat/error', 'message').at(-1))
  assert.match(
    message,
    /no valid NMEA sentence for 10 s at \/dev\/ttyAMA0 with 9600 baud 8N1; 5 bytes came: set baudRate/,
  )
  await feed(scene, RMC)
  assert.equal(scene.params.get('/gps/boat/ok'), true)
})

test('a position that hardly moves is not told', async (t) => {
  const scene = await start(t, ', minDistance: 5')
  const told = () => scene.sets.filter(({ address }) => address === '/gps/boat/position').length
  const minutes = async (value: string) => {
    await feed(scene, sentence(`GPGGA,120000,${value},N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,`))
    await scene.pass(1000)
  }
  // A thousandth of a minute is 1.85 m.
  await minutes('4807.000')
  assert.equal(told(), 1)
  await minutes('4807.002')
  assert.equal(told(), 1)
  await minutes('4807.003')
  assert.equal(told(), 2)
})

test('a simulated receiver walks in a circle until it is played, line by line', async (t) => {
  const scene = await Scene.start(t, `- {name: boat, kind: nmea, port: ${PORT}}`)
  const places: { lat: number; lon: number }[] = []
  for (let quarter = 0; quarter < 4; quarter++) {
    await scene.pass(75_000, 1000)
    places.push(param(scene, 'position') as { lat: number; lon: number })
  }
  // The diameter of 120 m, in degrees, between two places opposite to each other.
  for (const [one, other] of [
    [places[0], places[2]],
    [places[1], places[3]],
  ]) {
    const metres = Math.hypot(one.lat - other.lat, (one.lon - other.lon) * Math.cos((48.15 * Math.PI) / 180)) * 111_320
    assert.ok(Math.abs(metres - 120) < 5, `${metres}`)
  }
  assert.equal(param(scene, 'fix'), '3d')
  await scene.publish('/gps/boat/simulated/line', `${GGA}\r\n${VTG}`)
  await scene.pass(5000, 1000)
  assert.deepEqual(param(scene, 'position'), { lat: 48.1173, lon: 11.5166667, alt: 545.4 })
  assert.equal(param(scene, 'course'), 54.7)
})
