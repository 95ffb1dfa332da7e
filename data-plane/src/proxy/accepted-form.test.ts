import { expect, test } from 'vitest'
import { acceptedForm } from './accepted-form.ts'

test.each([
  [undefined, 'text'],
  ['', 'text'],
  ['*/*', 'text'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8', 'page'],
  ['application/json', 'json'],
  ['application/problem+json', 'json'],
  ['APPLICATION/JSON', 'json'],
  ['application/json, text/plain, */*', 'json'],
  ['application/json;q=0.5, text/html', 'page'],
  ['text/html;q=0.5, application/json', 'json'],
  ['text/html;q=0.3, application/json;q=0.7, text/plain;q=0.5', 'json'],
  ['text/html, application/json', 'page'],
  ['application/json, text/html', 'json'],
  ['text/html;q=0, */*', 'text'],
  ['text/*', 'text'],
  ['text/*;q=0.5, text/html;q=0.4, application/*;q=0.1', 'text'],
  ['application/*', 'json'],
  ['text/plain;q=0, text/*', 'page'],
  ['text/html;level=1;q=0.2, application/json;q=0.3', 'json'],
  ['text/html ; q=0.9 , application/json ; q=0.8', 'page'],
  ['image/png', 'text'],
  ['text/html;q=0, application/json;q=0', 'text'],
  ['text/html;q=7, application/json', 'page'],
  [',;,=,text/html', 'page'],
] as const)('who accepts %s gets the form %s', (accept, form) => {
  expect(acceptedForm(accept)).toBe(form)
})
