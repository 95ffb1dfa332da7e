import { describe, expect, test } from 'vitest'
import { OriginMending } from './origin-mending.ts'

const to = { scheme: 'https', authority: 'demo.example.com' } as const
const local = new OriginMending('localhost:3000')

describe('a Location', () => {
  test.each([
    ['http://localhost:3000/next?a=b#c', 'https://demo.example.com/next?a=b#c'],
    ['https://localhost:3000/next', 'https://demo.example.com/next'],
    ['HTTP://LOCALHOST:3000', 'https://demo.example.com'],
    ['http://localhost:3000?q', 'https://demo.example.com?q'],
    ['//localhost:3000/next', '//demo.example.com/next'],
  ])('%s leads back as %s', (value, mended) => {
    expect(local.location(value, to)).toBe(mended)
  })

  test.each([
    '/next',
    'next',
    '',
    '?q',
    'http://localhost/next',
    'http://localhost:30001/next',
    'http://localhost:3000.evil.example/',
    'http://ann@localhost:3000/',
    'http://localhost:3000\\@evil.example/',
    'http:localhost:3000/',
    'ftp://localhost:3000/',
    '/login?to=http://localhost:3000/',
    'https://elsewhere.example/http://localhost:3000/',
  ])('%s is left alone', (value) => {
    expect(local.location(value, to)).toBe(value)
  })

  test('a port that the scheme implies counts as the same, written or not', () => {
    const shop = new OriginMending('Shop.test')
    expect(shop.location('http://shop.test:80/a', to)).toBe('https://demo.example.com/a')
    expect(new OriginMending('shop.test:443').location('https://shop.test/a', to)).toBe('https://demo.example.com/a')
    expect(shop.location('http://shop.test:8080/a', to)).toBe('http://shop.test:8080/a')
  })

  test('the port by which the visitor came is kept', () => {
    const place = { scheme: 'http', authority: 'demo.localhost:8080' } as const
    expect(local.location('http://localhost:3000/a', place)).toBe('http://demo.localhost:8080/a')
  })
})

describe('a cookie', () => {
  const shop = new OriginMending('app.shop.test:3000')
  const place = { scheme: 'http', authority: 'demo.example.com:8080' } as const

  test.each([
    ['a=1; Domain=app.shop.test; Path=/', 'a=1; Domain=demo.example.com; Path=/'],
    ['a=1;domain = .APP.shop.test ;Secure', 'a=1;domain =demo.example.com;Secure'],
    ['a=1; Domain=.shop.test', 'a=1; Domain=demo.example.com'],
    ['a=1; Domain=app.shop.test; Domain=shop.test', 'a=1; Domain=demo.example.com; Domain=demo.example.com'],
  ])('%s becomes %s', (value, mended) => {
    expect(shop.cookie(value, place)).toBe(mended)
  })

  test.each([
    'a=1',
    'a=1; Domain=',
    'a=1; Domain=other.test',
    'a=1; Domain=xapp.shop.test',
    'domain=app.shop.test; Path=/',
  ])('%s is left alone', (value) => {
    expect(shop.cookie(value, place)).toBe(value)
  })
})
