/** Channel mode messages by name: controller and value. Source: MIDI 1.0 Detailed Specification 4.2, "Mode messages". */
const MODES: Readonly<Record<string, readonly [controller: number, value: number]>> = {
  all_sound_off: [120, 0],
  reset: [121, 0],
  local_off: [122, 0],
  local_on: [122, 127],
  all_notes_off: [123, 0],
  omni_off: [124, 0],
  omni_on: [125, 0],
  mono: [126, 1],
  poly: [127, 0],
}

/** `controller`: 120 to 127. */
export function modeName(controller: number, value: number): string {
  if (controller === 122) return value < 64 ? 'local_off' : 'local_on'
  return Object.keys(MODES).find((name) => MODES[name][0] === controller) as string
}

export function modeMessage(name: string): readonly [controller: number, value: number] | undefined {
  return Object.hasOwn(MODES, name) ? MODES[name] : undefined
}
