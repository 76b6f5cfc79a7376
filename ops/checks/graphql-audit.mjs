// Checks a running project as GraphQL's own tools see it: the audit of GraphQL
// over HTTP, the schema of every role as the reference implementation reads it,
// and typed operations from the code generator.
//
//   URL=…/v1/graphql SECRET=… ROLES=admin,customer node graphql-audit.mjs
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

// The packages lie in the current folder, not beside this file.
const require = createRequire(path.join(process.cwd(), 'package.json'));
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { auditServer } = await load('graphql-http');
const graphql = require('graphql');
const { codegen } = require('@graphql-codegen/core');
const typescript = require('typescript');
const plugins = {
  typescript: require('@graphql-codegen/typescript'),
  'typescript-operations': require('@graphql-codegen/typescript-operations'),
};

const { URL: url, SECRET: secret, ROLES: roles } = process.env;
const headers = (role) => ({ 'x-hasura-admin-secret': secret, 'x-hasura-role': role });
const relay = url.replace('/v1/graphql', '/v1beta1/relay');
let failed = 0;

function report(what, problem) {
  console.log(`${problem ? 'FAIL' : 'ok  '} ${what}${problem ? `: ${problem}` : ''}`);
  if (problem) failed += 1;
}

async function audit(address) {
  const results = await auditServer({
    url: address,
    fetchFn: (input, init) => fetch(input, { ...init, headers: { ...init?.headers, ...headers('admin') } }),
  });
  for (const r of results) {
    const must = r.name.startsWith('MUST');
    if (r.status === 'ok' || r.name.startsWith('MAY')) continue;
    console.log(`${must ? 'FAIL' : 'note'} ${r.id} ${r.name}: ${r.reason}`);
    if (must) failed += 1;
  }
  const musts = results.filter((r) => r.name.startsWith('MUST'));
  report(`${address}: ${musts.filter((r) => r.status === 'ok').length} of ${musts.length} MUST rules`, musts.length < 13 && 'the audit has too few rules');
}

async function schemaOf(address, role) {
  const response = await fetch(address, {
    method: 'POST',
    headers: { ...headers(role), 'content-type': 'application/json' },
    body: JSON.stringify({ query: graphql.getIntrospectionQuery({ specifiedByUrl: true, directiveIsRepeatable: true, inputValueDeprecation: true, schemaDescription: true }) }),
  });
  const body = await response.json();
  assert.ok(body.data, JSON.stringify(body));
  const schema = graphql.buildClientSchema(body.data);
  const problems = graphql.validateSchema(schema);
  assert.deepEqual(problems.map(String), []);
  return schema;
}

// operationFor selects all leaves of all root fields that need no argument, so
// that the generator meets every kind of type.
function operationFor(schema) {
  const leaves = (type, depth) => Object.values(type.getFields()).map((f) => {
    const of = graphql.getNamedType(f.type);
    if (f.args.some(graphql.isRequiredArgument)) return '';
    if (graphql.isLeafType(of)) return f.name;
    const inner = depth > 0 && graphql.isObjectType(of) ? leaves(of, depth - 1) : '';
    return inner && `${f.name} { ${inner} }`;
  }).filter(Boolean).join(' ');
  const root = Object.values(schema.getQueryType().getFields());
  const fields = root.filter((f) => !f.args.some(graphql.isRequiredArgument)).map((f) => {
    const of = graphql.getNamedType(f.type);
    if (graphql.isLeafType(of)) return f.name;
    return `${f.name} { ${leaves(of, 1)} }`;
  });
  return `query Everything { ${fields.join(' ')} }`;
}

async function generate(schema) {
  const document = graphql.parse(operationFor(schema));
  assert.deepEqual(graphql.validate(schema, document).map(String), []);
  const text = await codegen({
    filename: 'types.ts', schema: graphql.parse(graphql.printSchema(schema)), documents: [{ location: 'q.graphql', document }],
    config: {}, plugins: [{ typescript: {} }, { 'typescript-operations': {} }], pluginMap: plugins,
  });
  assert.match(text, /export type EverythingQuery = /);
  const { diagnostics } = typescript.transpileModule(text, { reportDiagnostics: true });
  assert.deepEqual(diagnostics.map((d) => d.messageText), []);
}

async function check(what, run) {
  try {
    await run();
    report(what);
  } catch (error) {
    report(what, error.message);
  }
}

await audit(url);
await audit(relay);
for (const role of roles.split(',')) {
  for (const address of [url, relay]) {
    await check(`${address}: the schema of ${role} and typed operations from it`, async () => generate(await schemaOf(address, role)));
  }
}
process.exitCode = failed ? 1 : 0;
