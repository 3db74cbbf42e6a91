#!/usr/bin/env bash
# token.sh ALGORITHM KEY-FILE KID CLAIMS
#	  Print a signed token (RFC 7519, compact) as an identity provider would: RS256
#	  or ES256, by a private key in PEM.  With openssl and perl only.
set -eu -o pipefail

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# openssl signs in DER; ES256 wants the two numbers bare, 32 bytes each (RFC 7518, 3.4).
bare_numbers()
{
	openssl asn1parse -inform DER |
		perl -ne 'print pack "H64", substr("0" x 64 . $1, -64) if /INTEGER\s*:([0-9A-F]+)/'
}

algorithm=$1 key=$2 kid=$3 claims=$4

signed=$(printf '{"alg":"%s","typ":"JWT","kid":"%s"}' "$algorithm" "$kid" | base64url).$(printf '%s' "$claims" | base64url)
case $algorithm in
	RS256) signature=$(printf '%s' "$signed" | openssl dgst -sha256 -sign "$key" -binary | base64url) ;;
	ES256) signature=$(printf '%s' "$signed" | openssl dgst -sha256 -sign "$key" -binary | bare_numbers | base64url) ;;
	*) echo "token.sh: unknown algorithm $algorithm" >&2; exit 2 ;;
esac
printf '%s.%s\n' "$signed" "$signature"
