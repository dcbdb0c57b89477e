import { lazyLists, schema } from './schema.ts'

/** The configuration's schema for editors: JSON Schema, draft 2020-12. */
export async function configJsonSchema(): Promise<Record<string, unknown>> {
  await Promise.all(Object.values(lazyLists).map((list) => list.load()))
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'clasp-edge', ...schema.jsonSchema }
}
