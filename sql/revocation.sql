-- Tokens, sessions and subjects that are refused before they expire.
--
-- No foreign key to authz.issuer: dropping and recreating an issuer must not
-- bring a revoked token back.

CREATE TABLE authz.revoked_token (
	issuer text COLLATE "C" NOT NULL,
	jti text COLLATE "C" NOT NULL,
	revoked_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT revoked_token_pkey PRIMARY KEY (issuer, jti)
);
COMMENT ON TABLE authz.revoked_token IS 'tokens refused by their id (claim jti)';

CREATE TABLE authz.revoked_subject (
	issuer text COLLATE "C" NOT NULL,
	subject text COLLATE "C" NOT NULL,
	issued_before timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	clock_skew interval NOT NULL DEFAULT '300 s',
	CONSTRAINT revoked_subject_pkey PRIMARY KEY (issuer, subject)
);
COMMENT ON TABLE authz.revoked_subject IS 'subjects whose tokens are refused if issued (claim iat) earlier, or if they do not say when';
COMMENT ON COLUMN authz.revoked_subject.issued_before IS 'by our clock';
COMMENT ON COLUMN authz.revoked_subject.clock_skew IS
	'tokens issued up to this much later are refused too, as the issuer''s clock may be ahead; at least the issuer''s clock_skew';

CREATE TABLE authz.revoked_session (
	issuer text COLLATE "C" NOT NULL,
	session_id text COLLATE "C" NOT NULL,
	revoked_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	CONSTRAINT revoked_session_pkey PRIMARY KEY (issuer, session_id)
);
COMMENT ON TABLE authz.revoked_session IS 'tokens refused by their session id (claim sid)';

CREATE TRIGGER identity_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON authz.revoked_token
	FOR EACH STATEMENT EXECUTE FUNCTION authz.identity_changed();
ALTER TABLE authz.revoked_token ENABLE ALWAYS TRIGGER identity_changed;
CREATE TRIGGER identity_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON authz.revoked_subject
	FOR EACH STATEMENT EXECUTE FUNCTION authz.identity_changed();
ALTER TABLE authz.revoked_subject ENABLE ALWAYS TRIGGER identity_changed;
CREATE TRIGGER identity_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON authz.revoked_session
	FOR EACH STATEMENT EXECUTE FUNCTION authz.identity_changed();
ALTER TABLE authz.revoked_session ENABLE ALWAYS TRIGGER identity_changed;

CREATE FUNCTION authz.revoke_token(issuer text, jti text) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.require_issuer(revoke_token.issuer);
	INSERT INTO authz.revoked_token VALUES (revoke_token.issuer, revoke_token.jti)
	ON CONFLICT ON CONSTRAINT revoked_token_pkey DO NOTHING;
END
$$;
COMMENT ON FUNCTION authz.revoke_token(text, text) IS 'refuse one token, by its claim jti, from the next statement of every session on';

CREATE FUNCTION authz.revoke_subject(issuer text, subject text, issued_before timestamptz = clock_timestamp()) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.require_issuer(revoke_subject.issuer);
	INSERT INTO authz.revoked_subject AS r
	SELECT i.issuer, revoke_subject.subject, revoke_subject.issued_before, i.clock_skew
	FROM authz.issuer AS i WHERE i.issuer = revoke_subject.issuer
	ON CONFLICT ON CONSTRAINT revoked_subject_pkey
	DO UPDATE SET issued_before = greatest(r.issued_before, excluded.issued_before),
		clock_skew = greatest(r.clock_skew, excluded.clock_skew);
END
$$;
COMMENT ON FUNCTION authz.revoke_subject(text, text, timestamptz) IS
	'refuse all tokens of a subject that were issued earlier, and those that do not say when; '
	'tokens give whole seconds, so one issued in the same second is refused too; '
	'so is one issued up to the issuer''s clock_skew later, since its clock may be ahead';

CREATE FUNCTION authz.revoke_session(issuer text, session_id text) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM authz.require_issuer(revoke_session.issuer);
	INSERT INTO authz.revoked_session VALUES (revoke_session.issuer, revoke_session.session_id)
	ON CONFLICT ON CONSTRAINT revoked_session_pkey DO NOTHING;
END
$$;
COMMENT ON FUNCTION authz.revoke_session(text, text) IS 'refuse all tokens of a session of the identity provider, by their claim sid';

REVOKE ALL ON authz.revoked_token, authz.revoked_subject, authz.revoked_session FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON authz.revoked_token, authz.revoked_subject, authz.revoked_session TO authz_admin;
REVOKE ALL ON FUNCTION authz.revoke_token(text, text), authz.revoke_subject(text, text, timestamptz),
	authz.revoke_session(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authz.revoke_token(text, text), authz.revoke_subject(text, text, timestamptz),
	authz.revoke_session(text, text) TO authz_admin;

SELECT pg_catalog.pg_extension_config_dump('authz.revoked_token', '');
SELECT pg_catalog.pg_extension_config_dump('authz.revoked_subject', '');
SELECT pg_catalog.pg_extension_config_dump('authz.revoked_session', '');
