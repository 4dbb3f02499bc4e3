// A sign-in made on this page is used by the calls that follow it.
const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  tryItOutEnabled: true,
  persistAuthorization: false,
  responseInterceptor: (response) => {
    if (response.ok && response.url.includes("/api/v1/auth/") && response.body?.token) {
      ui.preauthorizeApiKey("token", response.body.token);
    }
    return response;
  },
});
