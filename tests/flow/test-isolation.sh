#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A certificate reaches its own machine only: what belongs to another is answered exactly like what does not exist. No certificate, a certificate
# of another CA, an expired one, a server certificate used as a client's, and TLS 1.2 are refused.
# timeout: 90
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
appliance_init
start_appliance
for m in a b; do
	appliance token --json | python3 "$flow/enroll.py" "$tmp/$m" 127.0.0.2 "$control" "$data" "host-$m" >"$m.id"
done
python3 "$flow/isolation.py" 127.0.0.2 "$control" "$data" "$tmp/a" "$tmp/b" || fail "machines are not kept apart"

# curl as a bystander. ask [CURL-OPTIONS…] : status of GET /v1/machine on both ports, 000 when TLS fails
ask() {
	local port
	for port in "$control" "$data"; do
		curl -s -o curl.out -m 10 -w '%{http_code} ' --cacert a/ca.pem "$@" "https://127.0.0.2:$port/v1/machine" || true
	done
}
[ "$(ask --cert a/cert.pem --key a/key.pem)" = '200 200 ' ] || fail "a good certificate is refused: $(cat curl.out)"
[ "$(ask)" = '401 401 ' ] || fail "no certificate: $(ask)"

refused() { # WHAT CURL-OPTIONS… : TLS fails, or 401
	local what=$1 got
	shift
	got=$(ask "$@")
	[[ $got =~ ^((000|401) ){2}$ ]] || fail "$what: $got"
	note "$what: $got"
}
refused "TLS 1.2" --cert a/cert.pem --key a/key.pem --tls-max 1.2
[ "$(ask --cert a/cert.pem --key a/key.pem --tls-max 1.2)" = '000 000 ' ] || fail "TLS 1.2 is spoken"
! curl -s -m 10 -o /dev/null "http://127.0.0.2:$control/v1/ca" || [ "$(curl -s -m 10 -o /dev/null -w '%{http_code}' "http://127.0.0.2:$control/v1/ca")" -ge 400 ] ||
	fail "plain HTTP is served"

note "a certificate of another CA, with A's machine id"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other-ca.key -out other-ca.crt -subj /CN=other -days 2 2>/dev/null
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout forged.key -subj "/CN=$(cat a.id)" -out forged.csr 2>/dev/null
printf 'extendedKeyUsage=clientAuth\n' >client.ext
openssl x509 -req -in forged.csr -CA other-ca.crt -CAkey other-ca.key -set_serial 7 -days 2 -extfile client.ext -out forged.crt 2>/dev/null
refused "another CA" --cert forged.crt --key forged.key
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout self.key -out self.crt -subj "/CN=$(cat a.id)" -days 2 2>/dev/null
refused "self-signed" --cert self.crt --key self.key
subject=$(openssl x509 -in a/ca.pem -noout -subject -nameopt compat | sed 's/^subject= *//')
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout twin-ca.key -out twin-ca.crt -subj "$subject" -days 2 2>/dev/null
openssl x509 -req -in forged.csr -CA twin-ca.crt -CAkey twin-ca.key -set_serial 8 -days 2 -extfile client.ext -out twin.crt 2>/dev/null
refused "a CA of the same name" --cert twin.crt --key forged.key

note "certificates of the right CA that are not a machine's"
read -r ca_crt ca_key < <(python3 - "$appliance_dir" "$tmp" <<-'PYTHON'
	import sys, tap
	authority = tap.Authority(sys.argv[1], sys.argv[2])
	print(authority.cert, authority.key)
PYTHON
)
openssl x509 -req -in forged.csr -CA "$ca_crt" -CAkey "$ca_key" -set_serial 9 -days 2 \
	-extfile <(printf 'extendedKeyUsage=serverAuth\n') -out server.crt 2>/dev/null
refused "a server's certificate" --cert server.crt --key forged.key
openssl req -new -key forged.key -subj "/CN=$(cat /proc/sys/kernel/random/uuid)" -out unknown.csr
openssl x509 -req -in unknown.csr -CA "$ca_crt" -CAkey "$ca_key" -set_serial 10 -days 2 -extfile client.ext -out unknown.crt 2>/dev/null
[[ $(ask --cert unknown.crt --key forged.key) =~ ^((000|401|403) ){2}$ ]] || fail "an unknown machine is served: $(cat curl.out)"
mkdir ca-db
: >ca-db/index
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=ca-db/index\nunique_subject=no\nnew_certs_dir=ca-db\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nextendedKeyUsage=clientAuth\n' >ca.cnf
openssl ca -batch -config ca.cnf -cert "$ca_crt" -keyfile "$ca_key" -in forged.csr -out expired.crt -notext \
	-startdate 20200101000000Z -enddate 20200102000000Z >openssl.log 2>&1
refused "an expired certificate" --cert expired.crt --key forged.key
openssl ca -batch -config ca.cnf -cert "$ca_crt" -keyfile "$ca_key" -in forged.csr -out good.crt -notext -days 2 >openssl.log 2>&1
[ "$(ask --cert good.crt --key forged.key)" = '200 200 ' ] || fail "the expired certificate was refused for another reason than its date"
finish
