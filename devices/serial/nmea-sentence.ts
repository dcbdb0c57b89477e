/** A sentence of NMEA 0183 whose checksum is right. */
export interface NmeaSentence {
  /** Who speaks: `GP` GPS, `GL` GLONASS, `GA` Galileo, `GB` BeiDou, `GN` several together; '' = none. */
  readonly talker: string
  /** `GGA`, `RMC` … */
  readonly type: string
  /** Behind the type; the first one has the number 0. */
  readonly fields: readonly string[]
}

/**
 * `$ttsss,field,…*hh`: hh is the exclusive or of all characters between $ and *, in hexadecimal. Undefined for anything
 * else, also without a checksum. What is before the last $ is the rest of a line that was cut off.
 * Source: NMEA 0183; u-blox 8/M8 receiver description (UBX-13003221), NMEA frame structure.
 */
export function parseSentence(line: string): NmeaSentence | undefined {
  const start = line.lastIndexOf('$')
  const [, body, checksum] = /^\$([^*]+)\*([\dA-F]{2})\s*$/i.exec(line.slice(start)) ?? []
  if (start === -1 || body === undefined || checksumOf(body) !== Number.parseInt(checksum, 16)) return undefined
  const [name, ...fields] = body.split(',')
  // Sentences of a manufacturer, $P…, have no talker.
  if (!/^[A-OQ-Z][A-Z]{4}$/.test(name)) return { talker: '', type: name, fields }
  return { talker: name.slice(0, 2), type: name.slice(2), fields }
}

function checksumOf(body: string): number {
  let sum = 0
  for (let i = 0; i < body.length; i++) sum ^= body.charCodeAt(i)
  return sum
}

/** Undefined: the field is empty or no number. */
export function numberField(text: string | undefined): number | undefined {
  return text !== undefined && /^-?\d+(\.\d*)?$|^-?\.\d+$/.test(text) ? Number(text) : undefined
}

/** Degrees, south and west negative, of `ddmm.mmm` or `dddmm.mmm` and N, S, E or W; undefined: none or nonsense. */
export function angleField(text: string | undefined, side: string | undefined): number | undefined {
  const [, degrees, minutes] = /^(\d{1,3})(\d\d(?:\.\d+)?)$/.exec(text ?? '') ?? []
  if (degrees === undefined || side === undefined || !/^[NSEW]$/.test(side)) return undefined
  const angle = Number(degrees) + Number(minutes) / 60
  if (Number(minutes) >= 60 || angle > (side === 'N' || side === 'S' ? 90 : 180)) return undefined
  const signed = side === 'S' || side === 'W' ? -angle : angle
  // Seven digits are a centimetre.
  return Number(signed.toFixed(7))
}

/** Milliseconds since midnight of `hhmmss[.sss]`; undefined: none or nonsense. 60 is a leap second. */
export function timeField(text: string | undefined): number | undefined {
  const [, hours, minutes, seconds] = /^(\d\d)(\d\d)(\d\d(?:\.\d+)?)$/.exec(text ?? '') ?? []
  if (hours === undefined || Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) >= 61) return undefined
  return (Number(hours) * 60 + Number(minutes)) * 60_000 + Math.round(Number(seconds) * 1000)
}

/** Years of two digits from here on are those of the last century; GPS began in 1980. */
const FIRST_YEAR = 80

/** Milliseconds since 1970 at the midnight of `ddmmyy`; undefined: none or nonsense. */
export function dateField(text: string | undefined): number | undefined {
  const [, day, month, short] = /^(\d\d)(\d\d)(\d\d)$/.exec(text ?? '') ?? []
  if (day === undefined) return undefined
  const year = Number(short) + (Number(short) >= FIRST_YEAR ? 1900 : 2000)
  const ms = Date.UTC(year, Number(month) - 1, Number(day))
  return new Date(ms).getUTCDate() === Number(day) && Number(month) >= 1 && Number(month) <= 12 ? ms : undefined
}
