/** The virtual machine: a PC that QEMU computes, without the help of the processor, so that it runs everywhere. */
import { spawn } from 'node:child_process'
import { StringDecoder } from 'node:string_decoder'

/** Lines of the guest's first program, guest/init. */
const START = 'CLASP-VM-START'
const LAST_LINES = 30
const RESULT = /^CLASP-VM-RESULT=(\d+)$/

/**
 * Runs it until it powers off. Files of this machine are the guest's root, which it only reads. `onLine` hears what its
 * tests say. Resolves to the exit code that the guest tells; rejects, with the last that its console said, when it tells
 * none.
 */
export function runMachine({ image, initrd, withinMs, onLine }) {
  const args = [
    ['-M', 'q35'],
    ['-accel', 'tcg,thread=multi'],
    ['-cpu', 'max'],
    ['-smp', '2'],
    ['-m', '1024'],
    ['-nodefaults', '-no-user-config', '-nographic', '-no-reboot'],
    ['-serial', 'stdio'],
    ['-kernel', image],
    ['-initrd', initrd],
    ['-append', 'console=ttyS0 quiet loglevel=3 panic=-1'],
    ['-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap'],
  ].flat()
  const child = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const stop = () => child.kill('SIGKILL')
  process.once('exit', stop)
  return new Promise((resolve, reject) => {
    let result
    let complaint = ''
    let isStarted = false
    const last = []
    const timer = setTimeout(() => {
      complaint = `it was not through within ${withinMs / 1000} s`
      stop()
    }, withinMs)
    eachLine(child.stdout, (line) => {
      const match = RESULT.exec(line)
      if (match !== null) result = Number(match[1])
      else if (line === START) isStarted = true
      else if (isStarted && result === undefined) onLine(line)
      last.push(line)
      if (last.length > LAST_LINES) last.shift()
    })
    eachLine(child.stderr, (line) => {
      complaint = line
    })
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      process.removeListener('exit', stop)
      if (result !== undefined) resolve(result)
      else
        reject(
          new Error(`${last.join('\n')}\nno result from the virtual machine: ${complaint || `it ended with ${code}`}`),
        )
    })
  })
}

function eachLine(stream, onLine) {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  stream.on('data', (chunk) => {
    const lines = (rest + decoder.write(chunk)).split('\n')
    rest = lines.pop()
    for (const line of lines) onLine(line.replace(/\r/g, ''))
  })
  stream.on('end', () => {
    if (rest !== '') onLine(rest)
  })
}
