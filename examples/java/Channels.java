import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** Channels with the token, which repeat and spread calls as protos/service-config.json says. */
final class Channels {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private Channels() {}

  static Channel to(String address) throws IOException {
    Metadata headers = new Metadata();
    headers.put(AUTHORIZATION, "Bearer " + read("OIP_TOKEN_FILE").trim());
    Map<String, ?> config =
        new Gson()
            .fromJson(read("OIP_SERVICE_CONFIG"), new TypeToken<Map<String, ?>>() {}.getType());
    Channel channel =
        Grpc.newChannelBuilder(address, credentials())
            .defaultServiceConfig(config)
            .enableRetry()
            .build();
    return ClientInterceptors.intercept(
        channel, MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  /** Mutual TLS with the files of the agency; without OIP_TLS_DIR in the clear, for `make dev`. */
  private static ChannelCredentials credentials() throws IOException {
    String tls = System.getenv("OIP_TLS_DIR");
    if (tls == null) {
      return InsecureChannelCredentials.create();
    }
    return TlsChannelCredentials.newBuilder()
        .trustManager(new File(tls, "ca.crt"))
        .keyManager(new File(tls, "tls.crt"), new File(tls, "tls.key"))
        .build();
  }

  private static String read(String variable) throws IOException {
    return Files.readString(Path.of(System.getenv(variable)));
  }
}
