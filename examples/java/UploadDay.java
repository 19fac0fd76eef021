import io.grpc.stub.StreamObserver;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import oip.enrolment.v1.EnrolmentServiceGrpc;
import oip.orders.v1.*;

/** Sends the orders of a file: UploadDay ENROLMENT ORDERS CREDIT_CODE RUN FILE. */
public final class UploadDay implements StreamObserver<UploadOrdersResponse> {
  private static final int ROWS = 5_000, BATCHES_UNDER_WAY = 3, TRIES = 5;

  private final Semaphore places = new Semaphore(BATCHES_UNDER_WAY);
  private final CompletableFuture<Boolean> isComplete = new CompletableFuture<>();

  public static void main(String[] args) throws Exception {
    String platform = "platforms/" + args[2];
    var enrolment = EnrolmentServiceGrpc.newBlockingStub(Channels.to(args[0]));
    List<OrderRow> rows = Orders.read(Path.of(args[4]), platform, enrolment);
    var batches = IntStream.range(0, (rows.size() + ROWS - 1) / ROWS).mapToObj(number ->
        UploadOrdersRequest.newBuilder().setPlatform(platform).setBatchId(args[3] + "-" + number)
            .setRows(OrderRows.newBuilder().addAllRows(
                rows.subList(number * ROWS, Math.min(rows.size(), (number + 1) * ROWS))))
            .build()).toList();
    var orders = OrderServiceGrpc.newStub(Channels.to(args[1]));
    // The same batches under the same ids: what is stored gets its first receipt.
    for (int tries = 1; !new UploadDay().send(orders, batches); tries++) {
      if (tries == TRIES) System.exit(3);
      TimeUnit.SECONDS.sleep(1L << tries);
    }
    System.exit(0);
  }

  private boolean send(OrderServiceGrpc.OrderServiceStub orders, List<UploadOrdersRequest> batches)
      throws Exception {
    var stream = orders.withDeadlineAfter(1, TimeUnit.HOURS).uploadOrders(this);
    for (UploadOrdersRequest batch : batches) {
      places.acquire();
      if (!isComplete.isDone()) stream.onNext(batch);
    }
    if (!isComplete.isDone()) stream.onCompleted();
    return isComplete.get();
  }

  @Override public void onNext(UploadOrdersResponse answer) {
    places.release();
    OrderBatch receipt = answer.getReceipt();
    System.out.println(answer.getBatchId() + ": " + (answer.hasProblem()
        ? answer.getProblem().getMessage()
        : receipt.getCreatedCount() + " new, " + receipt.getExistsCount() + " stored before"));
    for (OrderRejection row : receipt.getRejectionsList())
      System.out.println(row.getOrderNo() + ": " + row.getText());
  }

  @Override public void onError(Throwable error) { System.err.println(error); end(false); }
  @Override public void onCompleted() { end(true); }
  private void end(boolean complete) { isComplete.complete(complete); places.release(1_000); }
}
