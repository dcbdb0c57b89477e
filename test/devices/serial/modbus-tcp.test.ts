import assert from 'node:assert/strict'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { until } from '../../until.ts'
import { Scene } from '../scene.ts'
import { framed, ModbusSlaves } from './modbus-slaves.ts'

/** A server after the specification; `first` is sent to whoever connects. */
async function serve(t: TestContext, slaves: ModbusSlaves, first = Buffer.alloc(0)) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.write(first)
    socket.on('data', (frame) => {
      const answer = slaves.hear(framed([...frame.subarray(6)]))
      if (answer === null) return
      const body = answer.subarray(0, -2)
      const header = Buffer.from([frame[0], frame[1], 0, 0, 0, body.length])
      // An answer to nobody, and then the right one in two pieces.
      const late = Buffer.from([0xff, 0xff, 0, 0, 0, 3, body[0], 0x83, 2])
      socket.write(Buffer.concat([late, header, body.subarray(0, 2)]))
      socket.write(body.subarray(2))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}

const start = (t: TestContext, port: number) =>
  Scene.start(
    t,
    `- {name: meter, kind: modbus-tcp, host: 127.0.0.1, port: ${port}, simulate: false, registers: [
  {name: power, area: input, register: 100, type: s32}, {name: limit, register: 5, access: rw, every: 1h}]}`,
  )

test('registers are read and written over a network, and after the server has closed the connection', async (t) => {
  const slaves = new ModbusSlaves()
  slaves.set(1, 'input', 100, 0xffff, 0xfc18)
  slaves.set(1, 'holding', 5, 50)
  const { port, sockets } = await serve(t, slaves)
  const scene = await start(t, port)
  const value = (key: string) => scene.params.get(`/modbus/meter/${key}`)
  await until(() => value('power') !== undefined && value('limit') !== undefined, 'values')
  assert.deepEqual([value('power'), value('limit')], [-1000, 50])
  await scene.set('/modbus/meter/limit', 70)
  await until(() => slaves.get(1, 'holding', 5) === 70, 'the written value')
  for (const socket of sockets) socket.destroy()
  await until(() => value('ok') === false, 'the end of the connection')
  assert.match(
    String(scene.told('/modbus/meter/error', 'message').at(-1)),
    /127\.0\.0\.1:\d+ has closed the connection/,
  )
  await scene.pass(2000, 100)
  await until(() => value('ok') === true && value('power') === -1000, 'the next connection')
})

test('a server that does not speak Modbus, and one that is not there, do no harm', async (t) => {
  const { port } = await serve(t, new ModbusSlaves(), Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'))
  const scene = await start(t, port)
  await until(() => scene.params.get('/modbus/meter/ok') === false, 'word of it')
  const closed = await start(t, 1)
  assert.equal(closed.params.get('/modbus/meter/ok'), false)
  const message = String(closed.told('/modbus/meter/error', 'message')[0])
  assert.match(message, /no connection to Modbus TCP at 127.0.0.1:1: ECONNREFUSED: check the address/)
})
