import java.io.File;
import org.apache.catalina.startup.Tomcat;
import org.springframework.web.context.support.AnnotationConfigWebApplicationContext;
import org.springframework.web.servlet.DispatcherServlet;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerAdapter;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;

/**
 * Serves the controllers that it is given by name, on this machine with Spring and Tomcat as Debian has them. A Spring
 * Boot application needs nothing of this.
 */
public final class Serve {
    public static void main(String[] controllers) throws Exception {
        var context = new AnnotationConfigWebApplicationContext();
        context.register(RequestMappingHandlerMapping.class, RequestMappingHandlerAdapter.class);
        for (String controller : controllers) context.register(Class.forName(controller));
        var tomcat = new Tomcat();
        tomcat.setBaseDir(new File("classes").getAbsolutePath());
        tomcat.setPort(Integer.parseInt(System.getenv().getOrDefault("PORT", "3000")));
        var connector = tomcat.getConnector();
        connector.setProperty("address", "127.0.0.1");
        var root = tomcat.addContext("", new File(".").getAbsolutePath());
        Tomcat.addServlet(root, "spring", new DispatcherServlet(context)).setLoadOnStartup(1);
        root.addServletMappingDecoded("/", "spring");
        tomcat.start();
        tomcat.getServer().await();
    }
}
