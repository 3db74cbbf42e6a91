#!/usr/bin/env perl
# tokens.pl DIRECTORY
#	  Make keys of three algorithms with openssl, and tokens signed by them.
#
# Leaves in the directory: key.tsv (algorithm, key to give to authz.add_key) and
# token.tsv (purpose, number, token, a claims set of the token's length).
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256);
use MIME::Base64 qw(encode_base64url);

my ($directory) = @ARGV;
my $now = time;
my $secret = unpack 'H*', join '', map { chr int rand 256 } 1 .. 32;

# Run a command; die if it fails.
sub run { system(@_) == 0 or die "failed: @_\n" }

sub write_file
{
	my ($name, $text) = @_;
	open my $file, '>:raw', "$directory/$name" or die "$name: $!\n";
	print $file $text;
	close $file or die "$name: $!\n";
	return;
}

sub read_file
{
	my ($name) = @_;
	open my $file, '<:raw', "$directory/$name" or die "$name: $!\n";
	local $/ = undef;
	return scalar <$file>;
}

# An integer of a DER signature in 32 bytes, as JWS has it (RFC 7518 section 3.4).
sub fixed { my ($bytes) = @_; $bytes =~ s/^\0+//; return ("\0" x (32 - length $bytes)) . $bytes }

sub sign
{
	my ($algorithm, $input) = @_;
	return hmac_sha256($input, $secret) if $algorithm eq 'HS256';
	write_file('input', $input);
	run('openssl', 'dgst', '-sha256', '-sign', "$directory/$algorithm.pem", '-out', "$directory/signature",
		"$directory/input");
	my $signature = read_file('signature');
	return $signature if $algorithm eq 'RS256';
	my ($r, $s) = unpack 'x2 x1 C/a x1 C/a', $signature;
	return fixed($r) . fixed($s);
}

# A token and a claims set that is as long, as PostgREST would set it.
sub token
{
	my ($algorithm, $subject, $roles, $tenant) = @_;
	my $claims = sprintf '"iss":"https://issuer.example","aud":"bench","sub":"%s","iat":%d,"exp":%d,"jti":"%s",'
	  . '"roles":[%s],"tenant":%d', $subject, $now, $now + 36000, unpack('H*', pack 'N4', map { int rand 2**32 } 1 .. 4),
	  join(',', map { "\"$_\"" } @$roles), $tenant;
	my $input = encode_base64url(sprintf '{"alg":"%s","typ":"JWT","kid":"%s"}', $algorithm, $algorithm) . '.'
	  . encode_base64url("{$claims}");
	my $token = "$input." . encode_base64url(sign($algorithm, $input));
	my $twin = "{$claims,\"pad\":\"\"}";
	my $pad = 'x' x (length($token) - length $twin);
	$twin =~ s/"pad":"/"pad":"$pad/;
	return "$token\t$twin";
}

run('openssl', qw(genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out), "$directory/RS256.pem");
run('openssl', qw(genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out), "$directory/ES256.pem");
my $keys = "HS256\t$secret\n";
for my $algorithm ('RS256', 'ES256')
{
	run('openssl', qw(pkey -pubout -in), "$directory/$algorithm.pem", '-out', "$directory/public");
	$keys .= "$algorithm\t" . join('\n', split /\n/, read_file('public')) . "\n";
}
write_file('key.tsv', $keys);

my $tokens = '';
$tokens .= "tenant\t$_\t" . token('RS256', "user-$_", ['tenant'], $_) . "\n" for 1 .. 50;
$tokens .= "$_\t1\t" . token('HS256', "a-$_", [ $_, 'kind-1' ], 1) . "\n" 
  for qw(admin by_column by_attribute by_role clear partly never);
for my $algorithm ('HS256', 'RS256', 'ES256')
{
	$tokens .= "$algorithm\t$_\t" . token($algorithm, "new-$_", ['tenant'], $_) . "\n" for 0 .. 40;
}
write_file('token.tsv', $tokens);
