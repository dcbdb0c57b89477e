import { schema } from './schema.ts'

/** The configuration's schema for editors: JSON Schema, draft 2020-12. */
export function configJsonSchema(): Record<string, unknown> {
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'clasp-edge', ...schema.jsonSchema }
}
