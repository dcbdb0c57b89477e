import type { AnyDeviceKind } from './device.ts'
import { button } from './gpio/button.ts'
import { counter } from './gpio/counter.ts'
import { encoder } from './gpio/encoder.ts'
import { led } from './gpio/led.ts'
import { output } from './gpio/output.ts'
import { pir } from './gpio/pir.ts'
import { pwm } from './gpio/pwm.ts'
import { relay } from './gpio/relay.ts'
import { servo } from './gpio/servo.ts'
import { stepper } from './gpio/stepper.ts'
import { contactSwitch } from './gpio/switch.ts'
import { ultrasonic } from './gpio/ultrasonic.ts'

/** The drivers: one line each. Libraries that they need are imported when a device is opened, not here. */
export const deviceKinds: readonly AnyDeviceKind[] = [
  button,
  contactSwitch,
  pir,
  encoder,
  counter,
  output,
  relay,
  led,
  pwm,
  servo,
  stepper,
  ultrasonic,
]
