import static java.util.concurrent.TimeUnit.SECONDS;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.temporal.ChronoUnit;
import java.util.List;
import oip.enrolment.v1.EnrolmentServiceGrpc.EnrolmentServiceBlockingStub;
import oip.enrolment.v1.LookUpWorkersRequest;
import oip.orders.v1.OrderRow;
import oip.orders.v1.OrderState;
import oip.type.v1.Industry;

/** Rows from a CSV file: order_no,worker_number,accept_time,end_time,place. */
final class Orders {
  private Orders() {}

  static List<OrderRow> read(Path file, String platform, EnrolmentServiceBlockingStub enrolment)
      throws IOException {
    List<String[]> lines =
        Files.readAllLines(file).stream().skip(1).map(line -> line.split(",")).toList();
    // At most 10,000 numbers a call. The id 0 is of nobody: the row will be refused.
    List<String> numbers = lines.stream().map(line -> line[1]).distinct().toList();
    List<Long> ids =
        enrolment
            .withDeadlineAfter(30, SECONDS)
            .lookUpWorkers(
                LookUpWorkersRequest.newBuilder()
                    .setPlatform(platform)
                    .addAllWorkerNumbers(numbers)
                    .build())
            .getWorkersList();
    return lines.stream().map(line -> row(line, ids.get(numbers.indexOf(line[1])))).toList();
  }

  private static OrderRow row(String[] line, long worker) {
    return OrderRow.newBuilder()
        .setOrderNo(line[0])
        .setRevision(1)
        .setWorker(worker)
        .setIndustry(Industry.RIDE_HAILING)
        .setState(OrderState.COMPLETED)
        .setAcceptTimeUs(micros(line[2]))
        .setEndTimeUs(micros(line[3]))
        .setPlaceOfAcceptance(Integer.parseInt(line[4]))
        .build();
  }

  private static long micros(String time) {
    return ChronoUnit.MICROS.between(Instant.EPOCH, OffsetDateTime.parse(time).toInstant());
  }
}
