const TICKS_PER_BEAT = 24
const TICKS_PER_SONG_STEP = 6
/** A clock that paused for longer starts anew; 15 BPM has ticks this far apart. */
const MAX_TICK_GAP_MS = 170
const MIN_CHANGE_BPM = 0.1
/** 1250 BPM; what comes faster in the long run is no clock. */
const MAX_TICKS_PER_S = 500
const BURST_TICKS = 48

export interface ClockSink {
  onTempo(beatsPerMinute: number): void
  /** Beats since the start, the first one is 0. */
  onBeat(beat: number): void
}

/** Makes tempo and beats of clock ticks, 24 to a beat; the tempo is the mean of the last 24. Source: bridges.md §4.4. */
export class ClockFollower {
  private readonly sink: ClockSink
  /** Times of the last 24 ticks, ms, as a ring. */
  private readonly times = new Float64Array(TICKS_PER_BEAT)
  /** Ticks without a pause. */
  private steady = 0
  private lastAt = Number.NEGATIVE_INFINITY
  private tempo = 0
  /** Ticks since the start of the song. */
  private position = 0
  private allowance = BURST_TICKS

  constructor(sink: ClockSink) {
    this.sink = sink
  }

  /** Returns false for a tick too many, which counts for nothing. */
  tick(nowMs: number): boolean {
    const gap = nowMs - this.lastAt
    this.lastAt = nowMs
    this.allowance = Math.min(BURST_TICKS, this.allowance + (gap * MAX_TICKS_PER_S) / 1000)
    if (this.allowance < 1) return false
    this.allowance--
    if (gap > MAX_TICK_GAP_MS) this.steady = 0
    const at = this.steady % TICKS_PER_BEAT
    const beatMs = nowMs - this.times[at]
    this.times[at] = nowMs
    // Once a beat: in between it only shows how evenly ticks arrive.
    if (this.steady >= TICKS_PER_BEAT && at === 0 && beatMs > 0) this.tellTempo(60_000 / beatMs)
    this.steady++
    if (this.position % TICKS_PER_BEAT === 0) this.sink.onBeat(this.position / TICKS_PER_BEAT)
    this.position++
    return true
  }

  /** From the beginning, with the next tick. */
  start(): void {
    this.position = 0
  }

  /** In sixteenths. */
  moveTo(songPosition: number): void {
    this.position = songPosition * TICKS_PER_SONG_STEP
  }

  private tellTempo(beatsPerMinute: number): void {
    if (Math.abs(beatsPerMinute - this.tempo) < MIN_CHANGE_BPM) return
    this.tempo = beatsPerMinute
    this.sink.onTempo(Math.round(beatsPerMinute * 100) / 100)
  }
}
