/** A secret of deployment keys, `{"current": "<64 hex digits>", "accepted": []}`, made by Secrets Manager itself. Knows nothing of what the keys are for. */
import { Validations } from 'aws-cdk-lib'
import { Secret } from 'aws-cdk-lib/aws-secretsmanager'
import type { Construct } from 'constructs'

/** 32 bytes, as protocol's deployment keys want them. */
const HEX_DIGITS = 64
/** Every printable character of ASCII but the sixteen digits, so that nothing depends on which other rules a drawer of secrets heeds. */
const NO_HEX_DIGITS = Array.from({ length: 0x7e - 0x20 }, (_, i) => String.fromCharCode(0x21 + i))
  .filter((character) => !/[0-9a-f]/.test(character))
  .join('')

/**
 * The first version is drawn by the service, so that no template, no function and no person ever holds it. The service can only leave
 * characters out: of its alphabet (a–z, A–Z, 0–9 and punctuation) just the sixteen hex digits remain, each of the 64 places even and independent, which is 256 bits. Nothing of this may ever change: CloudFormation would draw
 * a new secret. Later versions are a person's (docs/operations.md); CloudFormation leaves them alone.
 */
export function keySecret(scope: Construct, id: string, description: string): Secret {
  const secret = new Secret(scope, id, {
    description,
    generateSecretString: {
      secretStringTemplate: JSON.stringify({ accepted: [] }),
      generateStringKey: 'current',
      passwordLength: HEX_DIGITS,
      excludeCharacters: NO_HEX_DIGITS,
      includeSpace: false,
      // Or the service would put one character of each kind in, and no 64 places were even.
      requireEachIncludedType: false,
    },
  })
  Validations.of(secret).acknowledge({
    id: 'AwsSolutions-SMG4',
    reason:
      'A key is rotated in steps that wait for the tasks (add to accepted, roll, make current, roll, drop): a rotation by a clock, in one step, would refuse agents.',
  })
  return secret
}
