// A container registry on loopback, with what stands around one: distribution's own code serves plain HTTP for localhost, and
// the same images by TLS with tokens that anybody gets, but for repositories under private/ (no access) and hidden/ (no token).
// A proxy leads every name to it. The arguments are the folder of the images and the names of the certificate. It prints
// where it listens as JSON, and ends when its standard input does.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	realm   = "https://token.example.com/token"
	service = "registry.example.com"
	keyID   = "test"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func images(folder string, auth configuration.Auth) http.Handler {
	config := &configuration.Configuration{
		Storage: configuration.Storage{"filesystem": {"rootdirectory": folder}},
		Auth:    auth,
	}
	config.HTTP.Secret = keyID
	config.Log.Level = "error"
	config.Validation.Manifests.Indexes.Platforms = "none"
	return handlers.NewApp(context.Background(), config)
}

func certificate(key *ecdsa.PrivateKey, names []string) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		DNSNames:              names,
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// tokens is the token server: one scope, and pull alone.
func tokens(key *ecdsa.PrivateKey) http.Handler {
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", keyID)
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options))
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		kind, rest, _ := strings.Cut(request.URL.Query().Get("scope"), ":")
		name, _, _ := strings.Cut(rest, ":")
		if strings.HasPrefix(name, "hidden/") || request.URL.Query().Get("service") != service {
			http.Error(answer, `{"errors": [{"code": "DENIED"}]}`, http.StatusForbidden)
			return
		}
		now := time.Now()
		claims := token.ClaimSet{
			Issuer:     "test",
			Audience:   token.AudienceList{service},
			Expiration: now.Add(time.Minute).Unix(),
			NotBefore:  now.Add(-time.Minute).Unix(),
			IssuedAt:   now.Unix(),
		}
		if !strings.HasPrefix(name, "private/") {
			claims.Access = []*token.ResourceActions{{Type: kind, Name: name, Actions: []string{"pull"}}}
		}
		_ = json.NewEncoder(answer).Encode(map[string]string{"token": must(jwt.Signed(signer).Claims(claims).Serialize())})
	})
}

// proxy leads every CONNECT to one address.
func proxy(address string) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodConnect {
			http.Error(answer, "only CONNECT", http.StatusMethodNotAllowed)
			return
		}
		server := must(net.Dial("tcp", address))
		client, _, err := http.NewResponseController(answer).Hijack()
		if err != nil {
			log.Fatal(err)
		}
		_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
}

func main() {
	folder, names := os.Args[1], os.Args[2:]
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	certificate := certificate(key, append(names, "token.example.com"))
	keys := filepath.Join(folder, "keys.json")
	public := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: keyID, Algorithm: "ES256"}}}
	if err := os.WriteFile(keys, must(json.Marshal(public)), 0o600); err != nil {
		log.Fatal(err)
	}

	secured := http.NewServeMux()
	secured.Handle("/token", tokens(key))
	secured.Handle("/", images(folder, configuration.Auth{"token": {
		"realm": realm, "service": service, "issuer": "test", "jwks": keys,
	}}))
	server := httptest.NewUnstartedServer(secured)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	authorities := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	told := map[string]string{
		"plain":       httptest.NewServer(images(folder, nil)).Listener.Addr().String(),
		"proxy":       httptest.NewServer(proxy(server.Listener.Addr().String())).URL,
		"authorities": string(authorities),
	}
	_ = json.NewEncoder(os.Stdout).Encode(told)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
