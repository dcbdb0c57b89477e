import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SignalCode } from '../../firmware-protocol/wire/constants.ts'
import { Durability, DurabilityRules } from '../../runtime/journal/durability.ts'
import { defaultRecordRules, NOT_RECORDED, RecordRules, THINNED } from '../../runtime/journal/record-rules.ts'
import { Slot } from '../../runtime/journal/slot.ts'

describe('durability of an address', () => {
  it('is that of the first rule that matches, and auto without one', () => {
    const rules = new DurabilityRules([
      { pattern: '/show/master', mode: 'sync' },
      { pattern: '/show/**', mode: 'batched' },
      { pattern: '/sensors/*/raw', mode: 'memory' },
    ])
    assert.equal(rules.of('/show/master'), Durability.sync)
    assert.equal(rules.of('/show/light/1'), Durability.batched)
    assert.equal(rules.of('/sensors/a/raw'), Durability.memory)
    assert.equal(rules.of('/sensors/a/b/raw'), Durability.auto)
  })

  it('refuses a pattern that is none, and names it', () => {
    assert.throws(() => new DurabilityRules([{ pattern: 'show', mode: 'sync' }]), /show/)
  })
})

describe('what is recorded of an address', () => {
  it('is params and events, thinned, without rules of the operator', () => {
    const rates = new RecordRules(defaultRecordRules).of('/a')
    assert.equal(rates[SignalCode.param], THINNED)
    assert.equal(rates[SignalCode.event], THINNED)
    assert.equal(rates[SignalCode.stream], NOT_RECORDED)
    assert.equal(rates[SignalCode.gesture], NOT_RECORDED)
  })

  it('follows the first rule that matches, whatever kinds a later one names', () => {
    const rules = new RecordRules([
      { pattern: '/quiet/**', kinds: [] },
      { pattern: '/loud/**', kinds: ['stream'], maxRate: 0 },
      { pattern: '/**', kinds: ['param'], maxRate: 5 },
    ])
    assert.ok(rules.of('/quiet/a').every((rate) => rate === NOT_RECORDED))
    assert.equal(rules.of('/loud/a')[SignalCode.stream], 0)
    assert.equal(rules.of('/loud/a')[SignalCode.param], NOT_RECORDED)
    assert.equal(rules.of('/a')[SignalCode.param], 5)
  })
})

describe('an address', () => {
  const slot = () => new Slot('/a', Durability.auto, [])

  it('is busy after ten seconds in a row with a change', () => {
    const busy = slot()
    for (let second = 1; second <= 9; second++) busy.beginSecond(second)
    assert.equal(busy.isBusy, false)
    for (let second = 10; second <= 12; second++) busy.beginSecond(second)
    assert.equal(busy.isBusy, true)
  })

  it('that changes every other second never is', () => {
    const calm = slot()
    for (let second = 1; second <= 10_000; second += 2) calm.beginSecond(second)
    assert.equal(calm.isBusy, false)
  })

  it('is calm again after a rest', () => {
    const rested = slot()
    for (let second = 1; second <= 100; second++) rested.beginSecond(second)
    rested.beginSecond(130)
    assert.equal(rested.isBusy, false)
  })
})
