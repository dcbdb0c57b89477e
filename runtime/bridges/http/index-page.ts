import type { Route } from './route.ts'

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}pre,code{background:#8882;border-radius:.2rem;padding:.1rem .3rem}pre{overflow:auto;padding:.6rem}td{padding:.1rem .8rem .1rem 0;vertical-align:top}:root{color-scheme:light dark}'

/** Links and examples for people. `origin` is what the browser asked for; both texts may be anything. */
export function indexPage(routes: readonly Route[], node: string, origin: string): string {
  const at = escapeHtml(origin)
  const rows = routes.map(({ method, path, summary }) => {
    const isLink = method === 'GET' && !path.includes('{') && !path.endsWith('/get')
    const shown = escapeHtml(path)
    return `<tr><td>${method}<td>${isLink ? `<a href="${shown}">${shown}</a>` : shown}<td>${escapeHtml(summary)}`
  })
  return `<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(node)}: CLASP over HTTP</title><style>${STYLE}</style>
<h1>${escapeHtml(node)}</h1>
<p>Signals of this node over HTTP. For programs: <a href="/v1/openapi.json">OpenAPI description</a>.
<p>An address such as <code>/lights/1</code> stands in a path without its first slash.
<pre>curl -X PUT ${at}/v1/state/lights/1 -d 0.5
curl ${at}/v1/state/lights/1
curl -X POST ${at}/v1/emit/cue/go -d '{"value": "now"}'
curl '${at}/v1/snapshot?pattern=/lights/**'
curl -N '${at}/v1/events?pattern=/lights/**&amp;snapshot=1'
curl ${at}/v1/bundle -d '{"operations": [{"set": ["/lights/1", 0]}, {"emit": ["/cue/go", null]}]}'</pre>
<table>${rows.join('\n')}</table>
</html>
`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
