# AuthzToken.pm
#	  Tokens made outside of the server, by Perl alone: what an identity provider
#	  would send.
#
# The default issuer, its audience, key and secret are those that
# issuer_sql() makes known to a database.
package AuthzToken;

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use Exporter qw(import);
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);

our @EXPORT = qw(ISSUER AUDIENCE SECRET token sign issuer_sql);

use constant {
	ISSUER => 'https://issuer.example',
	AUDIENCE => 'authz-tests',
	SECRET => 'a secret of the tests that is long enough for HS256',
};

my $json = JSON::PP->new->canonical->utf8;

# A compact JWS over the claims.
sub sign
{
	my ($claims, %with) = @_;
	my $header = { alg => 'HS256', typ => 'JWT', kid => $with{kid} // 'k1' };
	my $input = join '.', map { encode_base64url($json->encode($_)) } $header, $claims;

	return $input . '.' . encode_base64url(hmac_sha256($input, $with{secret} // SECRET));
}

# A token of the default issuer, good for ten minutes: subject, roles, then
# further claims (undef takes one away).
sub token
{
	my ($subject, $roles, %claims) = @_;
	my $all = {
		iss => ISSUER,
		aud => AUDIENCE,
		sub => $subject,
		roles => $roles,
		iat => time,
		exp => time + 600,
		%claims
	};

	delete $all->{$_} for grep { !defined $all->{$_} } keys %$all;
	return sign($all);
}

# SQL that makes the default issuer known; the claim "tenant" is an attribute.
sub issuer_sql
{
	my ($issuer, $audience, $secret) = (ISSUER, AUDIENCE, SECRET);

	return <<~SQL;
		SELECT authz.create_issuer('$issuer', '{$audience}', attributes => '{"tenant": "tenant"}', clock_skew => '0 s');
		SELECT authz.add_key('$issuer', 'k1', 'HS256', '$secret');
		SQL
}

1;
