// The explorer's scripts are classic scripts, joined into one page (src/charlens/explorer/page.py):
// what one declares at its top level, all others can use.
import { readdirSync, readFileSync } from 'node:fs';
import js from '@eslint/js';
import { parse } from 'espree';
import globals from 'globals';

const FOLDER = 'src/charlens/explorer';

function topLevelNames(file) {
  const { body } = parse(readFileSync(file, 'utf8'), { ecmaVersion: 'latest' });
  return body.flatMap((statement) => {
    if (/^(Function|Class)Declaration$/.test(statement.type)) return [statement.id.name];
    if (statement.type === 'VariableDeclaration') return statement.declarations.map(({ id }) => id.name);
    return [];
  });
}

const scripts = readdirSync(FOLDER).filter((name) => name.endsWith('.js'));
const shared = scripts.flatMap((name) => topLevelNames(`${FOLDER}/${name}`));

export default [
  { ignores: ['.venv/', 'results/', 'node_modules/', 'docs/_build/'] },
  js.configs.recommended,
  {
    files: ['eslint.config.js'],
    languageOptions: { globals: globals.node },
  },
  {
    files: [`${FOLDER}/*.js`],
    languageOptions: {
      sourceType: 'script',
      globals: { ...globals.browser, ...Object.fromEntries(shared.map((name) => [name, 'readonly'])) },
    },
    rules: {
      eqeqeq: 'error',
      'no-redeclare': ['error', { builtinGlobals: false }],
      'no-unused-vars': ['error', { vars: 'local' }],
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },
];
