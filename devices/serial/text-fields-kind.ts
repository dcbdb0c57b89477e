import { type AnyDeviceKind, type DeviceContext, defineDevice } from '../device.ts'
import { type OptionSpecs, type OptionsOf, table, text } from '../options.ts'
import { nameProblem } from '../row-names.ts'
import { PORT_RETRY_MS } from './port-options.ts'
import { COMMAND, fieldColumns, fieldProblem, fieldSignals, fieldValue, type TextField } from './text-fields.ts'
import {
  openTextPort,
  playedLine,
  type SendSettings,
  sendOptions,
  type TextSettings,
  textOptions,
} from './text-port.ts'

interface Settings extends TextSettings, SendSettings {
  readonly fields: unknown
  readonly startsWith: string | undefined
}

/** What a line says of each field, in their order; undefined: nothing. A text: what is wrong with the line. */
export type ToldFields = readonly unknown[] | string

export interface FormatTraits<S extends OptionSpecs, C extends OptionSpecs> {
  readonly kind: string
  readonly description: string
  /** For the operator: what the device is to send. */
  readonly expected: string
  readonly options: S
  /** Besides those that all formats have. */
  readonly columns: C
  check?(options: OptionsOf<S>, fields: readonly (TextField & OptionsOf<C>)[]): string | undefined
  /** A reader for one opening of the port. Its answer null: the line has no values, and is none the worse for it. */
  reader(options: OptionsOf<S>, fields: readonly (TextField & OptionsOf<C>)[]): (line: string) => ToldFields | null
}

/** Everything that tells values in lines of text; the kinds differ in how a line is read. */
export function textFieldsKind<S extends OptionSpecs, C extends OptionSpecs>(
  traits: FormatTraits<S, C>,
): AnyDeviceKind {
  const { kind, description, expected, check, reader } = traits
  const fieldsOf = (options: { fields: unknown }) => options.fields as readonly (TextField & OptionsOf<C>)[]
  return defineDevice({
    kind,
    description,
    namespace: 'serial',
    isOwnTwin: true,
    retryMs: PORT_RETRY_MS,
    options: {
      ...textOptions(115_200),
      ...sendOptions,
      startsWith: text('Only lines that begin with this are read, and from what is behind it.'),
      fields: table('The values of a line, each with the name that it is to have.', {
        ...fieldColumns,
        ...traits.columns,
      }),
      ...traits.options,
    },
    signals: (options) => fieldSignals(fieldsOf(options)),
    check: (options) => {
      const fields = fieldsOf(options)
      if (fields.length === 0) return 'fields is empty: name at least one'
      const command = fields.findIndex(({ name }) => name === COMMAND)
      if (command !== -1) return `fields[${command}] cannot be called ${COMMAND}, which is what it is sent`
      return (
        nameProblem(fields.map(({ name }, at) => ({ name, place: `fields[${at}]` }))) ??
        fields.map(fieldProblem).find((problem) => problem !== undefined) ??
        check?.(options as unknown as OptionsOf<S>, fields)
      )
    },
    simulatedInputs: () => playedLine,
    async open(context: DeviceContext) {
      const { set } = context
      const options = context.options as unknown as Settings
      const fields = fieldsOf(options)
      const read = reader(options as unknown as OptionsOf<S>, fields)
      const prefix = options.startsWith ?? ''
      const onLine = (line: string, complain: (reason: string) => void): boolean => {
        if (!line.startsWith(prefix)) return false
        const told = read(line.slice(prefix.length))
        if (typeof told === 'string') complain(told)
        if (typeof told === 'string' || told === null) return false
        const wrong = fields.filter((field, at) => {
          if (told[at] === undefined) return false
          const value = fieldValue(field, told[at])
          if (value !== undefined) set(field.name, value)
          return value === undefined
        })
        if (wrong.length > 0) complain(`${wrong[0].name} is to be a ${wrong[0].type}: correct fields, or its type`)
        return wrong.length < fields.length
      }
      const onSilent = () => {
        for (const { name } of fields) set(name, null)
      }
      const port = await openTextPort({ ...context, options }, { expected, onLine, onSilent }, options)
      return {
        write: { [COMMAND]: (value) => port.send(String(value)) },
        play: port.play,
        close: () => port.close(),
      }
    },
  })
}
