import { printable, type Style, type Terminal } from '../terminal.ts'
import type { CheckResult, Finding } from './finding.ts'

const STYLES: Readonly<Record<Finding['severity'], Style>> = { problem: 'red', warning: 'yellow', hint: 'cyan' }
const ORDER: readonly Finding['severity'][] = ['problem', 'warning', 'hint']

/** What is well as a line each, then what is not, the worst first. */
export function findingLines(terminal: Terminal, results: readonly CheckResult[]): string[] {
  const width = Math.max(...results.map(({ topic }) => topic.length))
  const well = results
    .filter(({ fine }) => fine !== '')
    .map(({ topic, fine }) => `${terminal.paint('green', topic.padEnd(width))}  ${printable(fine)}`)
  const findings = ORDER.flatMap((severity) =>
    results.flatMap(({ topic, findings }) =>
      findings
        .filter((finding) => finding.severity === severity)
        .flatMap((finding) => ['', ...findingText(terminal, topic, finding)]),
    ),
  )
  return [...well, ...findings]
}

function findingText(
  terminal: Terminal,
  topic: string,
  { severity, what, meaning, remedy, type = [] }: Finding,
): string[] {
  return [
    `${terminal.paint(STYLES[severity], severity)} (${topic}): ${terminal.paint('bold', printable(what))}`,
    `  ${printable(meaning)}`,
    `  ${printable(remedy)}${type.length > 0 ? ':' : ''}`,
    ...type.map((line) => `    ${terminal.paint('cyan', printable(line))}`),
  ]
}

/** The counts that matter, as a sentence. */
export function summaryText(results: readonly CheckResult[]): string {
  const count = (wanted: Finding['severity']) =>
    results.flatMap(({ findings }) => findings).filter(({ severity }) => severity === wanted).length
  const counts = ORDER.map((severity) => ({ severity, number: count(severity) })).filter(({ number }) => number > 0)
  if (counts.length === 0) return 'all is well'
  const words = counts.map(({ severity, number }) => `${number} ${severity}${number === 1 ? '' : 's'}`)
  return words.join(', ')
}
