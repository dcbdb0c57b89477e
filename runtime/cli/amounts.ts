/** A time for people: `950 ms`, `12 s`, `3 min 20 s`, `2 d 4 h`. */
export function showTime(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = Math.floor(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`
}

/** Bytes for people, in powers of 1024: `512 B`, `1.4 MB`. */
export function showBytes(bytes: number): string {
  let amount = bytes
  for (const unit of ['B', 'kB', 'MB']) {
    if (amount < 1024) return `${unit === 'B' ? amount : amount.toFixed(1)} ${unit}`
    amount /= 1024
  }
  return `${amount.toFixed(1)} GB`
}

/** A number with its thousands set apart. */
export function showCount(number: number): string {
  return (number >= 100 || Number.isInteger(number) ? Math.round(number) : Number(number.toFixed(1))).toLocaleString(
    'en-US',
  )
}
