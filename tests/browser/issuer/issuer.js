/**
 * An issuer on loopback. It says where it is, hears on stdin where the page is, and says `ready`.
 *
 * Anybody signs in as whoever they say, with any password: `carol` is in the group `keepers`.
 */

import { createServer } from "node:http";
import { createInterface } from "node:readline/promises";
import Provider from "oidc-provider";

const CLIENT_ID = "the-page";
const RESOURCE = "https://sluice.example/";
const seconds = Number(process.argv[2]); // that an access token counts

const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
console.log(issuer);

const lines = createInterface({ input: process.stdin });
const [page] = await new Promise((resolve) => lines.once("line", (line) => resolve([line])));
const groups = (id) => (id === "carol" ? ["keepers"] : []);

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: CLIENT_ID,
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
      redirect_uris: [page],
      post_logout_redirect_uris: [page],
    },
  ],
  clientBasedCORS: (_, origin) => origin === new URL(page).origin,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: `${id} of the example` }) }),
  claims: { openid: ["sub", "name"] },
  conformIdTokenClaims: false,
  extraTokenClaims: (_, token) => ({ groups: groups(token.accountId) }),
  issueRefreshToken: () => true,
  cookies: { keys: ["of a test"] },
  ttl: { AccessToken: seconds, IdToken: 3600, RefreshToken: 3600, Session: 3600, Interaction: 3600, Grant: 3600, DeviceCode: 600 },
  features: {
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => {
        if (resource !== RESOURCE) throw new Error(`nobody here knows ${resource}`);
        return { scope: "openid", audience: resource, accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } } };
      },
      useGrantedResource: () => true,
    },
  },
});
server.on("request", provider.callback());
console.log("ready");
lines.once("close", () => process.exit());
