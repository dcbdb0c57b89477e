/** Units by quantity, each with the way to the first of its quantity and back. Names: UCUM, and words that people use. */
interface Unit {
  readonly toBase: (number: number) => number
  readonly fromBase: (number: number) => number
}

const factor = (times: number): Unit => ({
  toBase: (number) => number * times,
  fromBase: (number) => number / times,
})

/** Amplitude, as of a fader: twice as much is about 6 dB. */
const decibel: Unit = { toBase: (number) => 10 ** (number / 20), fromBase: (number) => 20 * Math.log10(number) }

const celsius = factor(1)
const fahrenheit: Unit = { toBase: (number) => (number - 32) / 1.8, fromBase: (number) => number * 1.8 + 32 }

const quantities: readonly Readonly<Record<string, Unit>>[] = [
  {
    Cel: celsius,
    '°C': celsius,
    C: celsius,
    K: { toBase: (number) => number - 273.15, fromBase: (number) => number + 273.15 },
    '[degF]': fahrenheit,
    '°F': fahrenheit,
    F: fahrenheit,
  },
  { ratio: factor(1), dB: decibel, '%': factor(0.01) },
  { Pa: factor(1), hPa: factor(100), kPa: factor(1000), bar: factor(100_000) },
  { m: factor(1), cm: factor(0.01), mm: factor(0.001) },
  { s: factor(1), ms: factor(0.001), min: factor(60), h: factor(3600) },
  { rad: factor(1), deg: factor(Math.PI / 180) },
]

export const unitNames: readonly string[] = quantities.flatMap(Object.keys)

/** Undefined when the two are of different quantities. */
export function unitConversion(from: string, to: string): ((number: number) => number) | undefined {
  const quantity = quantities.find((units) => Object.hasOwn(units, from) && Object.hasOwn(units, to))
  if (quantity === undefined) return undefined
  const { toBase } = quantity[from]
  const { fromBase } = quantity[to]
  return (number) => fromBase(toBase(number))
}
