import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RunnerReport } from '../../runtime/devices/device-runner.ts'
import { devicesReport } from '../../runtime/devices/devices-report.ts'

const runner = (isSimulated: boolean): RunnerReport => ({
  name: 'door',
  kind: 'switch',
  address: '/gpio/door',
  state: 'running',
  problem: '',
  isSimulated,
  dropped: 0,
})

test('the status tells devices that are made up from those that are there', () => {
  assert.equal(devicesReport([runner(false)]).summary, '1 running')
  assert.equal(devicesReport([runner(false), runner(true)]).summary, '2 running, 1 simulated')
})
